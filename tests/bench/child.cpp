#include "child.hpp"

#include "bench.hpp"

#include <fermata/storage/file_descriptor.hpp>

#include <fcntl.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <sstream>

namespace fermata::bench {

namespace {

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 4096> part{};
  for (ssize_t got = 0; (got = ::read(descriptor, part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<std::size_t>(got));
  return text;
}

/// Starts this program with its output in `out`.
pid_t start(const std::vector<std::string>& words, int out) {
  std::vector<char*> arguments;
  for (const auto& word : words)
    arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const auto child = ::fork();
  expect(child >= 0, "a process can be started");
  if (child == 0) {
    ::dup2(out, STDOUT_FILENO);
    ::execv("/proc/self/exe", arguments.data());
    ::_exit(127);
  }
  return child;
}

} // namespace

std::vector<double> in_child(const child_task& task, std::vector<std::string> arguments) {
  std::vector<std::string> words{"fermata-bench", child_flag, task.name};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::array<int, 2> ends{};
  expect(::pipe2(ends.data(), O_CLOEXEC) == 0, "a pipe can be made");
  file_descriptor reader{ends[0]};
  file_descriptor writer{ends[1]};
  const auto child = start(words, writer.get());
  writer.reset();
  std::istringstream text{read_all(reader.get())};
  int status = 0;
  ::waitpid(child, &status, 0);
  expect(status == 0, std::string{"the process of "} + task.name + " ends well");
  std::vector<double> numbers;
  for (double number = 0; text >> number;)
    numbers.push_back(number);
  return numbers;
}

void run_child(const child_task& task, std::span<const std::string> arguments) {
  for (const auto number : task.run(arguments))
    std::printf("%.9g\n", number);
}

} // namespace fermata::bench
