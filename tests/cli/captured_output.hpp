#pragma once

#include <fermata_catch.hpp>

#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

namespace fermata::test {

/// Takes standard output while it exists.
class captured_output {
public:
  captured_output() : file_{std::tmpfile()}, before_{::dup(STDOUT_FILENO)} {
    REQUIRE(file_ != nullptr);
    std::fflush(stdout);
    ::dup2(::fileno(file_), STDOUT_FILENO);
  }
  ~captured_output() {
    restore();
    std::fclose(file_);
  }
  captured_output(const captured_output&) = delete;
  captured_output& operator=(const captured_output&) = delete;

  std::string take() {
    restore();
    std::string text;
    std::array<char, 4'096> chunk;
    std::rewind(file_);
    while (const auto size = std::fread(chunk.data(), 1, chunk.size(), file_))
      text.append(chunk.data(), size);
    return text;
  }

private:
  void restore() {
    if (before_ < 0)
      return;
    ::dup2(before_, STDOUT_FILENO);
    ::close(before_);
    before_ = -1;
  }

  std::FILE* file_;
  int before_;
};

} // namespace fermata::test
