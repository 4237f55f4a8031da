#pragma once

#include <fermata/messages/errors.hpp>
#include <fermata/messages/ids.hpp>

#include <fermata_catch.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace messages_test {

/// "<errc>: <message>", or "accepted".
inline std::string verdict_on(const caf::error& error) {
  if (!error)
    return "accepted";
  return std::string{fermata::name_of(fermata::code_of(error))} + ": " + fermata::message_of(error);
}

template <class T>
std::string verdict_on(const fermata::result<T>& value) {
  return value ? "accepted" : verdict_on(value.error());
}

/// The value, which is expected to be there.
template <class T>
T value_of(fermata::result<T> value) {
  if (!value)
    throw std::runtime_error{verdict_on(value)};
  return std::move(*value);
}

template <class Id>
Id make(std::string_view text) {
  return value_of(Id::parse(text));
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

inline std::string repeated(std::string_view part, std::size_t times) {
  std::string text;
  text.reserve(part.size() * times);
  for (std::size_t i = 0; i < times; ++i)
    text += part;
  return text;
}

} // namespace messages_test
