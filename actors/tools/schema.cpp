#include <fermata/actors/tools/schema.hpp>
#include <fermata/actors/tools/schema_reader.hpp>
#include <fermata/actors/tools/text.hpp>

#include <re2/re2.h>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/constraints/concrete_constraints.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <optional>

namespace fermata {

namespace {

using valijson::adapters::Adapter;
using valijson::adapters::NlohmannJsonAdapter;

constexpr std::size_t shown_violations = 8;
constexpr std::size_t shown_schema_size_bytes = 400;
/// The steps that a check may take. A step is about what it takes to apply a small schema to a
/// place of the value: so many of any, and so many more for each part of the value up to a limit.
/// Schemas that apply to one place in several ways, or refer to themselves more than once,
/// multiply.
constexpr std::size_t steps_of_any = 100'000;
constexpr std::size_t steps_of_each_part = 64;
constexpr std::size_t steps_of_all_parts = 2'000'000;
/// The same where violations are collected, which takes memory.
constexpr std::size_t located_steps = 20'000;
constexpr std::size_t text_bytes_per_step = 1'024;
constexpr std::size_t items_per_step = 32;
/// Comparing the items of an array takes time in the square of their number.
constexpr std::size_t compared_items = 1'000;
/// So many comparisons of items are a step.
constexpr std::size_t comparisons_per_step = 16;

/// Ends a check that has used up its steps.
class out_of_steps : public std::exception {
public:
  [[nodiscard]] const char* what() const noexcept override { return "out of steps"; }
};

/// The steps that a check may still take.
class step_budget {
public:
  void refill(std::size_t steps, bool counts_violations) {
    left_ = steps;
    counts_violations_ = counts_violations;
  }

  [[nodiscard]] bool counts_violations() const noexcept { return counts_violations_; }

  void take(std::size_t steps) {
    if (steps > left_)
      throw out_of_steps{};
    left_ -= steps;
  }

private:
  std::size_t left_ = 0;
  bool counts_violations_ = false; ///< What is found takes steps as well.
};

/// What valijson needs of its extension point, PolyConstraint.
template <class Derived>
class own_constraint : public valijson::constraints::PolyConstraint {
private:
  valijson::constraints::Constraint* cloneInto(void* place) const override {
    return std::construct_at(static_cast<Derived*>(place), static_cast<const Derived&>(*this));
  }
  std::size_t sizeOf() const override { return sizeof(Derived); }
};

/// `pattern`, with RE2: valijson takes std::regex, which overflows the stack on long strings and
/// can take exponential time.
class pattern_constraint : public own_constraint<pattern_constraint> {
public:
  pattern_constraint(const Adapter& value, step_budget&)
      : pattern_{std::make_shared<RE2>(value.asString(), detail::pattern_options())} {}

  bool validate(const Adapter& target, const std::vector<std::string>& context,
                valijson::ValidationResults* results) const override {
    if (!target.isString() || RE2::PartialMatch(target.asString(), *pattern_))
      return true;
    if (results != nullptr)
      results->pushError(context, "The text does not match the pattern.");
    return false;
  }

private:
  std::shared_ptr<const RE2> pattern_;
};

bool is_date(const std::string& text) {
  static const RE2 form{R"((\d{4})-(\d\d)-(\d\d))"};
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  return RE2::FullMatch(text, form, &year, &month, &day)
         && std::chrono::year_month_day{std::chrono::year{year}, std::chrono::month{month},
                                        std::chrono::day{day}}
                .ok();
}

bool is_time(const std::string& text) {
  // RFC 3339, section 5.6, with the leap second at any minute.
  static const RE2 form{
      R"(([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d))"};
  return RE2::FullMatch(text, form);
}

/// `format`, for the formats that are checked: valijson's own check takes std::regex, and throws
/// for values that are not strings.
class format_constraint : public own_constraint<format_constraint> {
public:
  format_constraint(const Adapter& value, step_budget&) : format_{value.asString()} {}

  bool validate(const Adapter& target, const std::vector<std::string>& context,
                valijson::ValidationResults* results) const override {
    if (!target.isString() || fits(target.asString()))
      return true;
    if (results != nullptr)
      results->pushError(context, "The text is not a " + format_ + " of RFC 3339.");
    return false;
  }

private:
  bool fits(const std::string& text) const {
    if (format_ == "date")
      return is_date(text);
    if (format_ == "time")
      return is_time(text);
    return text.size() > 11 && (text[10] == 'T' || text[10] == 't') && is_date(text.substr(0, 10))
           && is_time(text.substr(11));
  }

  std::string format_;
};

/// `uniqueItems`, bounded.
class unique_items_constraint : public own_constraint<unique_items_constraint> {
public:
  unique_items_constraint(const Adapter&, step_budget& steps) : steps_{&steps} {}

  bool validate(const Adapter& target, const std::vector<std::string>& context,
                valijson::ValidationResults* results) const override {
    if (!target.isArray())
      return true;
    const auto items = target.getArraySize();
    const bool small = items <= compared_items;
    if (small)
      steps_->take(items * items / 2 / comparisons_per_step);
    if (small && all_differ(target))
      return true;
    if (results != nullptr)
      results->pushError(context, small ? "Two items are equal."
                                        : "There are too many items to check that they differ; at "
                                          "most 1,000 are accepted.");
    return false;
  }

private:
  static bool all_differ(const Adapter& array) {
    std::vector<std::unique_ptr<valijson::adapters::FrozenValue>> earlier;
    return array.applyToArray([&](const Adapter& item) {
      for (const auto& other : earlier)
        if (other->equalTo(item, true))
          return false;
      earlier.emplace_back(item.freeze());
      return true;
    });
  }

  step_budget* steps_;
};

/// Takes what a schema costs, each time that it is applied.
class step_constraint : public own_constraint<step_constraint> {
public:
  step_constraint(const Adapter& cost, step_budget& steps) : steps_{&steps} {
    std::vector<std::size_t> numbers;
    cost.applyToArray([&](const Adapter& one) {
      numbers.push_back(static_cast<std::size_t>(one.asInteger()));
      return true;
    });
    cost_.work = numbers.at(0);
    cost_.violations = numbers.at(1);
    cost_.reads_text = numbers.at(2) != 0;
  }

  bool validate(const Adapter& target, const std::vector<std::string>&,
                valijson::ValidationResults*) const override {
    auto taken = cost_.work;
    if (cost_.reads_text && target.isString())
      taken += target.asString().size() / text_bytes_per_step;
    else if (target.isArray())
      taken += target.getArraySize() / items_per_step;
    else if (target.isObject())
      taken += target.getObjectSize() / items_per_step;
    if (steps_->counts_violations())
      taken += cost_.violations;
    steps_->take(taken);
    return true;
  }

private:
  detail::step_cost cost_;
  step_budget* steps_;
};

template <class Constraint>
class own_builder : public valijson::ConstraintBuilder {
public:
  explicit own_builder(step_budget& steps) : steps_{&steps} {}

  valijson::constraints::Constraint* make(const Adapter& value) const override {
    // valijson takes the ownership.
    return std::make_unique<Constraint>(value, *steps_).release();
  }

private:
  step_budget* steps_;
};

template <class Constraint>
void add_keyword(valijson::SchemaParser& parser, std::string_view keyword, step_budget& steps) {
  auto builder = std::make_unique<own_builder<Constraint>>(steps);
  parser.addConstraintBuilder(std::string{keyword}, builder.get());
  [[maybe_unused]] const auto* owned_by_parser = builder.release();
}

/// A schema as valijson applies it, which takes from these steps.
result<std::unique_ptr<valijson::Schema>> compile(const json& schema, step_budget& steps) {
  auto readable = detail::read_schema(schema);
  if (!readable)
    return std::move(readable.error());
  auto compiled = std::make_unique<valijson::Schema>();
  try {
    valijson::SchemaParser parser{valijson::SchemaParser::kDraft7};
    add_keyword<pattern_constraint>(parser, detail::pattern_keyword, steps);
    add_keyword<format_constraint>(parser, detail::format_keyword, steps);
    add_keyword<unique_items_constraint>(parser, detail::unique_items_keyword, steps);
    add_keyword<step_constraint>(parser, detail::step_keyword, steps);
    parser.populateSchema(NlohmannJsonAdapter{*readable}, *compiled);
  } catch (const std::exception& failure) {
    return make_error(errc::invalid_field,
                      std::string{"not a JSON Schema of draft 7: "} + failure.what());
  }
  return compiled;
}

/// The steps that a check of this value may take.
std::size_t allowed_steps(const json& value) {
  return steps_of_any
         + std::min(steps_of_each_part * detail::count_parts(value), steps_of_all_parts);
}

/// Whether a value fits; nothing: that takes more steps than these.
std::optional<bool> apply(const valijson::Schema& schema, const json& value, step_budget& steps,
                          std::size_t at_most, valijson::ValidationResults* violations) {
  steps.refill(at_most, violations != nullptr);
  try {
    return valijson::Validator{}.validate(schema, NlohmannJsonAdapter{value}, violations);
  } catch (const out_of_steps&) {
    return std::nullopt;
  }
}

/// The parts of valijson's context: "<root>", then "[name]" or "[index]".
json::json_pointer pointer_of(const std::vector<std::string>& context) {
  json::json_pointer pointer;
  for (std::size_t i = 1; i < context.size(); ++i)
    pointer.push_back(context[i].substr(1, context[i].size() - 2));
  return pointer;
}

/// That a part does not fit is also reported for all that contain it; this says nothing new.
bool is_consequence(std::string_view description) {
  constexpr std::array<std::string_view, 4> beginnings{
      "Failed to validate against schema associated with property name",
      "Failed to validate against child schema #",
      "Failed to validate against additional properties schema", "Failed to validate item #"};
  return std::any_of(beginnings.begin(), beginnings.end(), [&](std::string_view beginning) {
    return description.starts_with(beginning);
  });
}

std::string explain(const json& schema, const valijson::ValidationResults& results, bool are_all) {
  std::map<std::string, json::json_pointer> lines; // Without repetitions.
  for (const bool consequences : {false, true}) {
    if (consequences && !lines.empty())
      break;
    for (const auto& violation : results) {
      if (is_consequence(violation.description) != consequences)
        continue;
      const auto place = pointer_of(violation.context);
      // The number is of valijson's schema, which has steps in it.
      const auto text =
          in_quotes(consequences ? violation.description.substr(0, violation.description.find(" #"))
                                 : violation.description);
      lines.emplace("at " + in_quotes(place.to_string()) + ": " + text.substr(1, text.size() - 2),
                    place);
    }
  }
  if (lines.empty())
    return are_all ? "the value is not accepted"
                   : "the value does not fit its schema; it is too large to say where";
  std::string out;
  std::size_t shown = 0;
  for (auto line = lines.begin(); line != lines.end() && shown < shown_violations;
       ++line, ++shown) {
    const auto accepted = to_text(detail::accepted_at(schema, line->second));
    out += (out.empty() ? "" : "; ") + line->first
           + " Accepted there: " + std::string{cut_utf8(accepted, shown_schema_size_bytes)};
  }
  if (lines.size() > shown)
    out += "; and " + std::to_string(lines.size() - shown) + " more";
  return out;
}

} // namespace

caf::error check_is_schema(const json& schema) {
  if (schema.is_null())
    return caf::none;
  step_budget none;
  auto compiled = compile(schema, none);
  return compiled ? caf::error{} : std::move(compiled.error());
}

caf::error check_schema(const json& schema, const json& value) {
  if (schema.is_null()) {
    if (value.is_object())
      return caf::none;
    return make_error(errc::invalid_arguments,
                      std::string{"at \"\": expected an object, got "} + value.type_name());
  }
  step_budget steps;
  const auto compiled = compile(schema, steps);
  if (!compiled)
    return compiled.error();
  try {
    const auto allowed = allowed_steps(value);
    const auto fits = apply(**compiled, value, steps, allowed, nullptr);
    if (!fits)
      return make_error(errc::invalid_arguments,
                        "the value cannot be checked: that takes more than "
                            + std::to_string(allowed)
                            + " steps, as what its schema repeats multiplies; a smaller value, or "
                              "a schema with fewer alternatives, references or values in lists, "
                              "is accepted");
    if (*fits)
      return caf::none;
    valijson::ValidationResults violations;
    // Where that takes too many steps, what was found until then is true all the same.
    const bool are_all = apply(**compiled, value, steps, located_steps, &violations).has_value();
    return make_error(errc::invalid_arguments, explain(schema, violations, are_all));
  } catch (const std::exception& failure) {
    return make_error(errc::invalid_arguments,
                      std::string{"the value cannot be checked: "} + failure.what());
  }
}

} // namespace fermata
