// A program that keeps its sessions in PostgreSQL; there is no server here.
#include <fermata/storage/postgres/postgres_store.hpp>

#include <cstdlib>

int main() {
  fermata::postgres_options options;
  options.schema = "Not a name";
  const auto store = fermata::postgres_store::open(options);
  return !store && fermata::is(store.error(), fermata::errc::invalid_field) ? EXIT_SUCCESS
                                                                            : EXIT_FAILURE;
}
