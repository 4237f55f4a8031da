#include "subjects.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <temporary_directory.hpp>

#include <array>
#include <cstdio>
#include <iostream>

using namespace fermata::bench;

namespace {

constexpr std::array all_subjects{&throughput, &sweep,         &no_fsync,   &alone,    &idle,
                                  &coroutines, &start,         &activation, &resident, &passivated,
                                  &growth,     &bytes_written, &fairness,   &overload, &subscribers,
                                  &cluster,    &timers,
#ifdef FERMATA_BENCH_OBSERVER
                                  &observer,
#endif
#ifdef FERMATA_BENCH_POSTGRES
                                  &postgres,   &sharing,
#endif
                                  &simulation};
constexpr std::array all_children{
#ifdef FERMATA_BENCH_POSTGRES
    &sharing_child,
#endif
    &resident_child, &passivated_child, &start_child,
    &timers_child,   &pending_child,    &overload_child};

std::string number_text(double number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(),
                number >= 1'000 ? "%.0f"
                : number >= 10  ? "%.1f"
                                : "%.3f",
                number);
  return text.data();
}

void print_row(const measurement& one) {
  const auto or_empty = [](const std::optional<double>& number) {
    return number ? number_text(*number) : std::string{};
  };
  std::printf("  %-46s %10s %10s %10s %-9s %10s %8s  %s\n", one.what.c_str(),
              number_text(one.value.least).c_str(), number_text(one.value.median).c_str(),
              number_text(one.value.most).c_str(), one.unit.c_str(), or_empty(one.limit).c_str(),
              or_empty(one.ratio).c_str(), one.reach.c_str());
}

void print_table(const subject& of, const std::vector<measurement>& lines) {
  std::printf("%s: %s\n  %-46s %10s %10s %10s %-9s %10s %8s\n", of.name, of.sentence, "", "min",
              "median", "max", "", "limit", "ratio");
  for (const auto& one : lines)
    print_row(one);
  std::printf("\n");
}

void print_json(const subject& of, const std::vector<measurement>& lines) {
  for (const auto& one : lines) {
    const auto first = one.what.find_first_not_of(' ');
    nlohmann::ordered_json line{{"subject", of.name},        {"line", one.what.substr(first)},
                                {"value", one.value.median}, {"unit", one.unit},
                                {"min", one.value.least},    {"max", one.value.most},
                                {"limit", nullptr},          {"ratio", nullptr},
                                {"reach", one.reach}};
    if (one.limit)
      line["limit"] = *one.limit;
    if (one.ratio)
      line["ratio"] = *one.ratio;
    std::cout << line << '\n';
  }
}

std::vector<const subject*> chosen(const std::vector<std::string>& names) {
  std::vector<const subject*> found;
  for (const auto* one : all_subjects)
    if (names.empty() || std::find(names.begin(), names.end(), one->name) != names.end())
      found.push_back(one);
  return found;
}

std::set<std::string> subject_names() {
  std::set<std::string> names;
  for (const auto* one : all_subjects)
    names.insert(one->name);
  return names;
}

std::string list_of_subjects() {
  std::string text = "Subjects (without any: all):\n";
  for (const auto* one : all_subjects)
    text += "  " + std::string{one->name} + std::string(14 - std::string{one->name}.size(), ' ')
            + one->sentence + '\n';
  return text;
}

void run_child_named(const std::vector<std::string>& words) {
  for (const auto* one : all_children)
    if (one->name == words.at(0))
      return run_child(*one, std::span{words}.subspan(1));
  throw std::invalid_argument{"there is no task " + words.at(0)};
}

void run(const std::vector<const subject*>& subjects, context in, bool as_json) {
  const fermata::test::temporary_directory folder{in.directory};
  in.directory = folder.path();
  for (const auto* one : subjects) {
    const auto lines = one->run(in);
    (as_json ? print_json : print_table)(*one, lines);
    std::fflush(stdout);
  }
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures Fermata, and beside each figure the limit of the same run."};
  std::vector<std::string> names;
  context in;
  in.directory = std::filesystem::current_path();
  bool as_json = false;
  app.add_option("SUBJECT", names, "What to measure")->check(CLI::IsMember(subject_names()));
  app.add_option("--sessions", in.sessions, "Sessions in flight")->check(CLI::PositiveNumber);
  app.add_option("--subtasks", in.subtasks, "Subtasks of a plan")->check(CLI::PositiveNumber);
  app.add_option("--stored", in.stored, "Paused sessions in the store")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--rounds", in.rounds, "Contestants take turns so often")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--directory", in.directory, "Where files are made; the disk to measure")
      ->check(CLI::ExistingDirectory);
  app.add_option("--keep", in.keep, "Keep stores of paused sessions here, and use them again")
      ->check(CLI::ExistingDirectory);
  app.add_flag("--brief", in.brief, "See that it works, not how fast");
  app.add_flag("--json", as_json, "One object a line instead of a table");
  app.footer(list_of_subjects());
  try {
    if (argc > 2 && std::string_view{argv[1]} == child_flag)
      return run_child_named({argv + 2, argv + argc}), EXIT_SUCCESS;
    CLI11_PARSE(app, argc, argv);
    run(chosen(names), in, as_json);
  } catch (const std::exception& failure) {
    std::cerr << "fermata-bench: " << failure.what() << '\n';
    return EXIT_FAILURE;
  }
}
