#pragma once

#include <fermata/actors/runtime.hpp>
#include <fermata/actors/sim/must.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace fermata::test {

/// Where effects are, which nobody takes back: a line for each, with the call and its run.
class effects_file {
public:
  explicit effects_file(std::filesystem::path path) : path_{std::move(path)} {}

  /// Adds the tool `paint`, which leaves one. Running it twice leaves two.
  void add_tool_to(runtime& to) const {
    tool paint;
    paint.name = sim::must(tool_name::parse("paint"));
    paint.run = blocking_tool{[path = path_](const tool_context& context) -> result<json> {
      const auto line = context.call.str() + " " + std::to_string(context.run) + "\n";
      const auto file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      const auto written = ::write(file, line.data(), line.size());
      ::close(file);
      if (written != static_cast<ssize_t>(line.size()))
        return make_error(errc::tool_failed, "it cannot be written");
      return json{"painted"};
    }};
    sim::must(to.tools().add(std::move(paint)));
  }

  /// How many there are of each call.
  [[nodiscard]] std::map<std::string, int> counts() const {
    std::map<std::string, int> made;
    std::ifstream in{path_};
    for (std::string call, run; in >> call >> run;)
      ++made[call];
    return made;
  }

private:
  std::filesystem::path path_;
};

} // namespace fermata::test
