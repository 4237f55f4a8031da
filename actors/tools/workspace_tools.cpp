#include <fermata/actors/tools/diff.hpp>
#include <fermata/actors/tools/text.hpp>
#include <fermata/actors/tools/workspace_files.hpp>
#include <fermata/actors/tools/workspace_tools.hpp>
#include <fermata/messages/digest.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

namespace fermata {

namespace {

std::string text_of(const json& arguments, const char* key, std::string otherwise = {}) {
  return arguments.value(key, std::move(otherwise));
}

json text_schema(std::string description) {
  return {{"type", "string"}, {"minLength", 1}, {"description", std::move(description)}};
}

json path_schema(const std::string& what) {
  return text_schema(what + ", relative to the workspace, for example \"src/main.cpp\"");
}

json object_schema(json properties, json required) {
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"additionalProperties", false}};
}

std::string_view name_of(file_kind kind) {
  constexpr std::array<std::string_view, 4> names{"file", "directory", "symlink", "other"};
  return names.at(static_cast<std::size_t>(kind));
}

/// A path as it may stand in the header of a diff: a name with a line break must not look like
/// more lines of the diff.
std::string header_name(const std::string& path) {
  const auto odd = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '"' || c == '\\';
  };
  return std::any_of(path.begin(), path.end(), odd) ? in_quotes(path) : path;
}

// What each tool does, given an open workspace.

result<json> list_files(const workspace& files, const tool_context& context) {
  auto listing = files.list_files(text_of(context.arguments, "path", "."),
                                  context.arguments.value("recursive", false), context.stop);
  if (!listing)
    return std::move(listing.error());
  auto entries = json::array();
  for (const auto& entry : listing->entries) {
    json shown{{"path", entry.path}, {"kind", name_of(entry.kind)}};
    if (entry.kind == file_kind::file)
      shown["size_bytes"] = entry.size_bytes;
    entries.push_back(std::move(shown));
  }
  return json{{"entries", std::move(entries)},
              {"truncated", listing->truncated},
              {"skipped_entries", listing->skipped_entries}};
}

result<json> read_file(const workspace& files, const tool_context& context) {
  auto content = files.read_file(text_of(context.arguments, "path"));
  if (!content)
    return std::move(content.error());
  return json{{"content", std::move(*content)}};
}

result<json> search_files(const workspace& files, const tool_context& context) {
  search_options options;
  options.path = text_of(context.arguments, "path", ".");
  options.pattern = text_of(context.arguments, "pattern");
  options.regex = context.arguments.value("regex", false);
  options.ignore_case = context.arguments.value("ignore_case", false);
  auto found = files.search_files(options, context.stop);
  if (!found)
    return std::move(found.error());
  auto matches = json::array();
  for (const auto& match : found->matches)
    matches.push_back({{"path", match.path}, {"line", match.line}, {"text", match.text}});
  return json{{"matches", std::move(matches)},
              {"truncated", found->truncated},
              {"skipped_files", found->skipped_files}};
}

result<json> write_file(const workspace& files, const tool_context& context) {
  const auto path = text_of(context.arguments, "path");
  const auto content = text_of(context.arguments, "content");
  auto error = files.write_file(path, content, context.approved_fingerprint);
  if (is(error, errc::stale_approval)) {
    // An earlier run of this call may have written it already: then there is nothing left to do.
    const auto present = files.fingerprint(path);
    if (present && *present == "file:" + sha256(content))
      error = caf::none;
  }
  if (error)
    return error;
  return json{{"path", path}, {"size_bytes", content.size()}};
}

result<json> create_directory(const workspace& files, const tool_context& context) {
  const auto path = text_of(context.arguments, "path");
  // A directory that is there already is what was asked for; anything else makes this fail.
  auto created = files.create_directory(path);
  if (!created)
    return std::move(created.error());
  return json{{"path", path}, {"created", *created}};
}

result<std::string> fingerprint_of_move(const workspace& files, const json& arguments) {
  auto from = files.fingerprint(text_of(arguments, "from"));
  if (!from)
    return from;
  auto to = files.fingerprint(text_of(arguments, "to"));
  if (!to)
    return to;
  return *from + " to " + *to;
}

result<json> move_file(const workspace& files, const tool_context& context) {
  const auto from = text_of(context.arguments, "from");
  const auto to = text_of(context.arguments, "to");
  if (context.approved_fingerprint) {
    auto present = fingerprint_of_move(files, context.arguments);
    if (!present)
      return std::move(present.error());
    if (*present != *context.approved_fingerprint)
      return detail::stale(from);
  }
  if (auto error = files.move_file(from, to))
    return error;
  return json{{"from", from}, {"to", to}};
}

result<json> delete_file(const workspace& files, const tool_context& context) {
  const auto path = text_of(context.arguments, "path");
  if (context.approved_fingerprint) {
    auto present = files.fingerprint(path);
    if (!present)
      return std::move(present.error());
    if (*present != *context.approved_fingerprint)
      return detail::stale(path);
  }
  if (auto error = files.delete_file(path))
    return error;
  return json{{"path", path}};
}

// What became of a run whose end nobody has seen. That it had no effect is never said: what is
// there as before may have been put back since (P8).

result<reconciliation> look_for_write(const workspace& files, const tool_context& context) {
  const auto path = text_of(context.arguments, "path");
  const auto content = text_of(context.arguments, "content");
  const auto present = files.fingerprint(path);
  if (!present)
    return present.error();
  if (*present == "file:" + sha256(content))
    return reconciliation::happened({{"path", path}, {"size_bytes", content.size()}});
  return reconciliation{};
}

result<reconciliation> look_for_move(const workspace& files, const tool_context& context) {
  const auto from = text_of(context.arguments, "from");
  const auto to = text_of(context.arguments, "to");
  const auto left = files.fingerprint(from);
  if (!left)
    return left.error();
  const auto there = files.fingerprint(to);
  if (!there)
    return there.error();
  // Only what is identified by its content can be recognised in its new place.
  const bool identified = there->find(':') != std::string::npos;
  if (*left == "absent" && identified && context.approved_fingerprint == *there + " to absent")
    return reconciliation::happened({{"from", from}, {"to", to}});
  return reconciliation{};
}

result<reconciliation> look_for_delete(const workspace& files, const tool_context& context) {
  const auto path = text_of(context.arguments, "path");
  const auto present = files.fingerprint(path);
  if (!present)
    return present.error();
  if (*present == "absent" && context.approved_fingerprint.value_or("absent") != "absent")
    return reconciliation::happened({{"path", path}});
  return reconciliation{};
}

// What a person is shown.

std::string preview_of_write(const workspace& files, const json& arguments) {
  const auto path = text_of(arguments, "path");
  const auto content = text_of(arguments, "content");
  const auto name = header_name(path);
  const auto present = files.fingerprint(path);
  if (!present)
    return "Write " + in_quotes(path) + ", which will fail: " + message_of(present.error()) + "\n";
  if (*present == "absent")
    return unified_diff({}, content, name);
  const auto kind = present->substr(0, present->find(':'));
  auto before = kind == "file" ? files.read_file(path)
                : kind == "large"
                    ? result<std::string>{make_error(errc::limit_exceeded, "it is too large")}
                    : result<std::string>{make_error(errc::tool_failed, "it is a " + kind)};
  if (!before)
    return "[What " + in_quotes(path) + " has now cannot be shown: " + message_of(before.error())
           + ". It is replaced by this:]\n" + unified_diff({}, content, name);
  const auto diff = unified_diff(*before, content, name);
  return diff.empty() ? in_quotes(path) + " has this content already.\n" : diff;
}

std::string preview_of_create(const workspace&, const json& arguments) {
  return "Create the directory " + in_quotes(text_of(arguments, "path")) + "\n";
}

std::string preview_of_move(const workspace&, const json& arguments) {
  return "Move " + in_quotes(text_of(arguments, "from")) + " to "
         + in_quotes(text_of(arguments, "to")) + "\n";
}

std::string preview_of_delete(const workspace& files, const json& arguments) {
  const auto path = text_of(arguments, "path");
  const auto present = files.fingerprint(path);
  const auto what = present ? present->substr(0, present->find(':')) : std::string{"path"};
  return "Delete the " + (what == "large" ? "file" : what) + " " + in_quotes(path) + "\n";
}

// How they become tools.

using operation = result<json> (*)(const workspace&, const tool_context&);
using identifier = result<std::string> (*)(const workspace&, const json&);
using describer = std::string (*)(const workspace&, const json&);
using finder = result<reconciliation> (*)(const workspace&, const tool_context&);

result<std::string> fingerprint_of_path(const workspace& files, const json& arguments) {
  return files.fingerprint(text_of(arguments, "path"));
}

tool make_tool(std::string_view name, std::string description, json schema, operation run,
               const workspace_limits& limits) {
  tool made;
  auto parsed = tool_name::parse(name);
  assert(parsed);
  made.name = std::move(*parsed);
  made.description = std::move(description);
  made.schema = std::move(schema);
  made.run = blocking_tool{[run, limits](const tool_context& context) -> result<json> {
    auto files = workspace::open(context.workspace, limits);
    if (!files)
      return std::move(files.error());
    return run(*files, context);
  }};
  return made;
}

tool reading(tool made) {
  made.idempotent = true;
  return made;
}

tool changing(tool made, const workspace_limits& limits, identifier fingerprint,
              describer preview) {
  made.fingerprint = [fingerprint,
                      limits](const json& arguments,
                              const std::filesystem::path& folder) -> result<std::string> {
    auto files = workspace::open(folder, limits);
    if (!files)
      return std::move(files.error());
    return fingerprint(*files, arguments);
  };
  // A file that may be written may be shown.
  auto shown = limits;
  shown.file_size_bytes = std::max(shown.file_size_bytes, shown.write_size_bytes);
  made.preview = [preview, shown](const json& arguments, const std::filesystem::path& folder) {
    auto files = workspace::open(folder, shown);
    return files ? preview(*files, arguments) : message_of(files.error());
  };
  return made;
}

tool findable(tool made, const workspace_limits& limits, finder look) {
  made.reconcile = [look, limits](const tool_context& context) -> result<reconciliation> {
    auto files = workspace::open(context.workspace, limits);
    if (!files)
      return std::move(files.error());
    return look(*files, context);
  };
  return made;
}

tool search_tool(const workspace_limits& limits) {
  const json yes_or_no{{"type", "boolean"}, {"default", false}};
  json properties{{"path", path_schema("The file or directory to search")},
                  {"pattern", text_schema("The text to look for, within one line")},
                  {"regex", yes_or_no},
                  {"ignore_case", yes_or_no}};
  properties["path"]["default"] = ".";
  properties["regex"]["description"] = "The pattern is a regular expression (RE2 syntax)";
  return make_tool("search_files",
                   "Finds the lines that contain a text, or match a regular expression, in the "
                   "text files of the workspace.",
                   object_schema(std::move(properties), json::array({"pattern"})), search_files,
                   limits);
}

tool list_tool(const workspace_limits& limits) {
  json properties{{"path", path_schema("The directory to list")},
                  {"recursive", {{"type", "boolean"}, {"default", false}}}};
  properties["path"]["default"] = ".";
  return make_tool("list_files", "Lists a directory of the workspace, or everything below it.",
                   object_schema(std::move(properties), json::array()), list_files, limits);
}

tool write_tool(const workspace_limits& limits) {
  const json content{{"type", "string"}, {"description", "The whole new content of the file"}};
  return make_tool(
      "write_file",
      "Writes a text file of the workspace, replacing it when it exists. Its directory must exist.",
      object_schema({{"path", path_schema("The file")}, {"content", content}},
                    json::array({"path", "content"})),
      write_file, limits);
}

tool move_tool(const workspace_limits& limits) {
  return make_tool(
      "move_file",
      "Moves or renames a file or directory of the workspace; the new place must be "
      "free.",
      object_schema({{"from", path_schema("What to move")}, {"to", path_schema("Its new path")}},
                    json::array({"from", "to"})),
      move_file, limits);
}

tool one_path_tool(std::string_view name, std::string description, const std::string& what,
                   operation run, const workspace_limits& limits) {
  return make_tool(name, std::move(description),
                   object_schema({{"path", path_schema(what)}}, json::array({"path"})), run,
                   limits);
}

} // namespace

std::vector<tool> workspace_tools(const workspace_limits& limits) {
  auto create = changing(one_path_tool("create_directory",
                                       "Creates a directory in the workspace. Its parent must "
                                       "exist; a directory that exists already is a success.",
                                       "The directory", create_directory, limits),
                         limits, fingerprint_of_path, preview_of_create);
  create.idempotent = true;

  std::vector<tool> tools;
  tools.push_back(reading(list_tool(limits)));
  tools.push_back(reading(one_path_tool("read_file", "Reads a text file of the workspace.",
                                        "The file", read_file, limits)));
  tools.push_back(reading(search_tool(limits)));
  tools.push_back(
      findable(changing(write_tool(limits), limits, fingerprint_of_path, preview_of_write), limits,
               look_for_write));
  tools.push_back(std::move(create));
  tools.push_back(
      findable(changing(move_tool(limits), limits, fingerprint_of_move, preview_of_move), limits,
               look_for_move));
  tools.push_back(
      findable(changing(one_path_tool("delete_file",
                                      "Deletes a file, a symbolic link or an empty directory "
                                      "of the workspace.",
                                      "What to delete", delete_file, limits),
                        limits, fingerprint_of_path, preview_of_delete),
               limits, look_for_delete));
  return tools;
}

} // namespace fermata
