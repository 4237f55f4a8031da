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
#include <memory>
#include <set>

namespace fermata {

namespace {

using valijson::adapters::Adapter;
using valijson::adapters::NlohmannJsonAdapter;

constexpr std::size_t shown_violations = 8;
constexpr std::size_t shown_schema_size_bytes = 400;
/// A value with more parts than this is checked until the first violation, which is then not
/// located: collecting the violations of a huge value would take memory without bound.
constexpr std::size_t located_parts = 10'000;
/// Comparing the items of an array takes time in the square of their number.
constexpr std::size_t compared_items = 1'000;

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
  explicit pattern_constraint(const Adapter& value)
      : pattern_{std::make_shared<RE2>(value.asString(), RE2::Quiet)} {}

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
  explicit format_constraint(const Adapter& value) : format_{value.asString()} {}

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
  explicit unique_items_constraint(const Adapter&) {}

  bool validate(const Adapter& target, const std::vector<std::string>& context,
                valijson::ValidationResults* results) const override {
    if (!target.isArray())
      return true;
    const bool small = target.getArraySize() <= compared_items;
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
};

template <class Constraint>
class own_builder : public valijson::ConstraintBuilder {
public:
  valijson::constraints::Constraint* make(const Adapter& value) const override {
    // valijson takes the ownership.
    return std::make_unique<Constraint>(value).release();
  }
};

template <class Constraint>
void add_keyword(valijson::SchemaParser& parser, std::string_view keyword) {
  auto builder = std::make_unique<own_builder<Constraint>>();
  parser.addConstraintBuilder(std::string{keyword}, builder.get());
  [[maybe_unused]] const auto* owned_by_parser = builder.release();
}

result<std::unique_ptr<valijson::Schema>> compile(const json& schema) {
  auto readable = detail::read_schema(schema);
  if (!readable)
    return std::move(readable.error());
  auto compiled = std::make_unique<valijson::Schema>();
  try {
    valijson::SchemaParser parser{valijson::SchemaParser::kDraft7};
    add_keyword<pattern_constraint>(parser, detail::pattern_keyword);
    add_keyword<format_constraint>(parser, detail::format_keyword);
    add_keyword<unique_items_constraint>(parser, detail::unique_items_keyword);
    parser.populateSchema(NlohmannJsonAdapter{*readable}, *compiled);
  } catch (const std::exception& failure) {
    return make_error(errc::invalid_field,
                      std::string{"not a JSON Schema of draft 7: "} + failure.what());
  }
  return compiled;
}

std::size_t count_parts(const json& value, std::size_t up_to) {
  std::size_t parts = 1;
  if (value.is_structured())
    for (const auto& part : value)
      if (parts <= up_to)
        parts += count_parts(part, up_to - parts);
  return parts;
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
  constexpr std::array<std::string_view, 3> beginnings{
      "Failed to validate against schema associated with property name",
      "Failed to validate against additional properties schema", "Failed to validate item #"};
  return std::any_of(beginnings.begin(), beginnings.end(), [&](std::string_view beginning) {
    return description.starts_with(beginning);
  });
}

std::string explain(const json& schema, const valijson::ValidationResults& results) {
  std::set<std::string> lines; // Without repetitions, in an order of their own.
  std::size_t more = 0;
  for (const bool consequences : {false, true}) {
    if (consequences && !lines.empty())
      break;
    for (const auto& violation : results) {
      if (is_consequence(violation.description) != consequences)
        continue;
      const auto place = pointer_of(violation.context);
      const auto text = in_quotes(violation.description);
      const auto accepted = to_text(detail::accepted_at(schema, place));
      auto line = "at " + in_quotes(place.to_string()) + ": " + text.substr(1, text.size() - 2)
                  + " Accepted there: " + std::string{cut_utf8(accepted, shown_schema_size_bytes)};
      if (lines.size() < shown_violations)
        lines.insert(std::move(line));
      else
        more += lines.count(line) == 0 ? 1 : 0;
    }
  }
  std::string out;
  for (const auto& line : lines)
    out += (out.empty() ? "" : "; ") + line;
  if (more > 0)
    out += "; and " + std::to_string(more) + " more";
  return out.empty() ? "the value is not accepted" : out;
}

} // namespace

caf::error check_is_schema(const json& schema) {
  if (schema.is_null())
    return caf::none;
  auto compiled = compile(schema);
  return compiled ? caf::error{} : std::move(compiled.error());
}

caf::error check_schema(const json& schema, const json& value) {
  if (schema.is_null()) {
    if (value.is_object())
      return caf::none;
    return make_error(errc::invalid_arguments,
                      std::string{"at \"\": expected an object, got "} + value.type_name());
  }
  auto compiled = compile(schema);
  if (!compiled)
    return std::move(compiled.error());
  try {
    const NlohmannJsonAdapter target{value};
    if (valijson::Validator{}.validate(**compiled, target, nullptr))
      return caf::none;
    if (count_parts(value, located_parts) > located_parts)
      return make_error(errc::invalid_arguments,
                        "the value does not fit its schema; it is too large to say where");
    valijson::ValidationResults results;
    valijson::Validator{}.validate(**compiled, target, &results);
    return make_error(errc::invalid_arguments, explain(schema, results));
  } catch (const std::exception& failure) {
    return make_error(errc::invalid_arguments,
                      std::string{"the value cannot be checked: "} + failure.what());
  }
}

} // namespace fermata
