#include "log.hpp"

#include <fermata/storage/file_descriptor.hpp>

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <fcntl.h>

#include <cerrno>
#include <cstring>

namespace fermata::command_line {

namespace {

/// What is logged is for nobody but the user.
caf::error make_private_file(const std::string& file) {
  const file_descriptor made{
      ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR)};
  if (made.get() < 0)
    return make_error(errc::invalid_field,
                      "--log: cannot write " + file + ": " + std::strerror(errno));
  return caf::none;
}

result<spdlog::sink_ptr> make_sink(const std::string& file) {
  if (file == "-")
    return spdlog::sink_ptr{std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  if (auto error = make_private_file(file))
    return error;
  try {
    return spdlog::sink_ptr{std::make_shared<spdlog::sinks::basic_file_sink_mt>(file)};
  } catch (const spdlog::spdlog_ex& failure) {
    return make_error(errc::invalid_field, std::string{"--log: "} + failure.what());
  }
}

} // namespace

result<std::shared_ptr<event_log>> open_log(const std::string& file, const std::string& level,
                                            const redactor& redaction) {
  if (file.empty())
    return std::shared_ptr<event_log>{};
  auto sink = make_sink(file);
  if (!sink)
    return std::move(sink.error());
  auto logger = std::make_shared<spdlog::logger>("fermata", std::move(*sink));
  logger->set_pattern("%v");
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::trace);
  event_log_options options;
  options.redaction = redaction;
  return std::make_shared<event_log>(std::move(logger), std::move(options));
}

} // namespace fermata::command_line
