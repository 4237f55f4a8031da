// A program that counts what its runtime does.
#include <fermata/actors/metrics.hpp>
#include <fermata/actors/runtime.hpp>
#include <fermata/storage/memory_store.hpp>

#include <cstdlib>
#include <memory>
#include <string>

int main() {
  const auto counted = std::make_shared<fermata::metrics>();
  fermata::runtime_options options;
  options.store = std::make_shared<fermata::memory_store>();
  options.observer = counted;
  fermata::runtime runtime{options};
  runtime.start();
  const auto plan = fermata::parse_plan(R"({"goal": "Be counted", "subtasks": [{"id": "one"}]})");
  const auto session = runtime.session(runtime.generate_id());
  if (!plan || !session.send(fermata::propose_plan{*plan}).get())
    return EXIT_FAILURE;
  const auto text = counted->text();
  return text.find("fermata_commits_total 1") != std::string::npos ? EXIT_SUCCESS : EXIT_FAILURE;
}
