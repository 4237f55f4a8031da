// Bytes from a disk are a record, or `store_corrupt`; a record is the same after CBOR, and is what
// its JSON is.
#include "require.hpp"

#include <fermata/messages/chunk.hpp>
#include <fermata/storage/detail/entries.hpp>
#include <fermata/storage/record_codec.hpp>
#include <fermata/storage/records.hpp>

using namespace fermata;

namespace {

/// What a record is read as by way of a tree of JSON.
template <class T>
result<T> read_by_json(std::span<const std::uint8_t> payload) {
  auto value = parse_cbor(payload);
  if (!value)
    return std::move(value.error());
  return fermata::from_json<T>(*value, unknown_fields::keep);
}

template <class T>
void check(std::span<const std::uint8_t> payload) {
  const auto record = from_record<T>(payload);
  const auto by_json = read_by_json<T>(payload);
  fuzz::require(record.engaged() == by_json.engaged(), "a record is what its JSON is");
  if (!record)
    return;
  fuzz::require(to_cbor(to_json(*record)) == to_cbor(to_json(*by_json)),
                "a record is read as its JSON is");
  const auto written = to_record(*record);
  fuzz::require(written == to_cbor(to_json(*record)), "a record is written as its JSON is");
  const auto again = from_record<T>(written);
  fuzz::require(again.engaged(), "a record is read again");
  fuzz::require(to_record(*again) == written, "a record is the same after CBOR");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  std::span<const std::uint8_t> payload{data + 1, size - 1};
  // Half of the inputs are JSON, whose words the mutator knows, and become CBOR here.
  bytes as_cbor;
  if (data[0] >= 128) {
    const auto value = parse_json({reinterpret_cast<const char*>(payload.data()), payload.size()});
    if (!value)
      return 0;
    json::to_cbor(*value, as_cbor);
    payload = as_cbor;
  }
  switch (data[0] % 10) {
  case 0:
    check<event>(payload);
    break;
  case 1:
    check<head_record>(payload);
    break;
  case 2:
    check<plan_record>(payload);
    break;
  case 3:
    check<call_record>(payload);
    break;
  case 4:
    check<subtask_record>(payload);
    break;
  case 5:
    check<pending_item>(payload);
    break;
  case 6:
    check<remembered_record>(payload);
    break;
  case 7: {
    // As it lies in the file: sealed, so that what gets through is what was written.
    static const bytes key{1, 2, 3};
    if (const auto opened = unseal("record", key, payload))
      fuzz::require(seal(key, *opened) == bytes(payload.begin(), payload.end()),
                    "what is unsealed was sealed");
    const auto sealed = seal(key, payload);
    const auto opened = unseal("record", key, sealed);
    fuzz::require(opened
                      && std::equal(opened->begin(), opened->end(), payload.begin(), payload.end()),
                  "what was sealed is unsealed");
    break;
  }
  case 8: {
    // The head's own layout behind a checksum that fits.
    const auto key = detail::number_key(7);
    const auto sealed = seal(static_cast<detail::byte_view>(key), payload);
    static_cast<void>(detail::parse_head(7, sealed));
    break;
  }
  default:
    check<entry_record>(payload);
    break;
  }
  return 0;
}
