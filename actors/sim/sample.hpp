#pragma once

#include <fermata/actors/sim/random.hpp>
#include <fermata/messages/json.hpp>

namespace fermata::sim {

/// A value that fits a JSON Schema, as a person or a model would fill it in. Understood are
/// `const`, `enum`, `type`, `properties`, `required`, `items`, `minItems`, `maxItems`, `minimum`,
/// `maximum`, `minLength` and `maxLength`; what else the schema demands may be missed. Null: any
/// object.
[[nodiscard]] json sample(const json& schema, seeded_random& random);

/// A value that does not fit a schema of that kind: another type, or an object that lacks what is
/// required. Where everything fits it fits, too.
[[nodiscard]] json misfit(const json& schema, seeded_random& random);

} // namespace fermata::sim
