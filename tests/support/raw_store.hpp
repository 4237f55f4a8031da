#pragma once

#include <fermata/storage/detail/entries.hpp>

#include <filesystem>

/// Stores as other programs and other versions leave them: these write into a closed store with
/// LMDB itself.
namespace fermata::test {

/// Puts a value into a table as it is.
void put_raw(const std::filesystem::path& directory, detail::table which, detail::byte_view key,
             bytes value);

/// The number that a store, which nobody has open, has given a session.
session_number number_of(const std::filesystem::path& directory, const session_id& session);

/// Gives the store the format after this version's.
void raise_store_format(const std::filesystem::path& directory);

/// Puts a record of the format after this version's in the place of a session's record.
void raise_record_format(const std::filesystem::path& directory, session_number session,
                         const record_key& record);

/// Leaves something in the place of a session's head that is none.
void damage_session(const std::filesystem::path& directory, session_number session);

} // namespace fermata::test
