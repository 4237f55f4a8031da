#include <fermata/messages/events.hpp>

namespace fermata {

std::string_view name_of(const event_body& body) {
  return std::visit([](const auto& one) { return one.type; }, body);
}

std::uint64_t call_of(const event_body& body) {
  return std::visit(
      [](const auto& one) -> std::uint64_t {
        if constexpr (requires { std::uint64_t{one.call}; })
          return one.call;
        else
          return 0;
      },
      body);
}

} // namespace fermata

namespace fermata::detail {

template struct struct_codec<model_usage>;
template struct codec<event_body>;
template struct struct_codec<event>;

} // namespace fermata::detail
