#include <fermata/messages/policy.hpp>

namespace fermata::detail {

template struct struct_codec<policy_match>;
template struct struct_codec<policy_rule>;
template struct struct_codec<policy_spec>;

} // namespace fermata::detail
