#include "token.hpp"

#include <fermata/storage/file_descriptor.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>

namespace fermata::service {

namespace {

constexpr std::size_t min_size = 16;
constexpr std::size_t max_size = 4'096;

caf::error refuse(const std::filesystem::path& file, const std::string& why) {
  return make_error(errc::invalid_field, "token file " + file.string() + ": " + why);
}

bool is_visible(char one) {
  return one > ' ' && one < '\x7f';
}

} // namespace

result<std::string> read_token(const std::filesystem::path& file) {
  const file_descriptor opened{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat found {};
  if (!opened || ::fstat(opened.get(), &found) != 0)
    return refuse(file, std::strerror(errno));
  if (!S_ISREG(found.st_mode))
    return refuse(file, "it is no regular file");
  if ((found.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return refuse(file, "others than its owner have access to it; `chmod 600` it");
  std::array<char, max_size + 2> text{};
  const auto size = ::read(opened.get(), text.data(), text.size());
  if (size < 0)
    return refuse(file, std::strerror(errno));
  std::string token{text.data(), static_cast<std::size_t>(size)};
  if (token.ends_with('\n'))
    token.pop_back();
  if (token.size() < min_size || token.size() > max_size
      || !std::all_of(token.begin(), token.end(), is_visible))
    return refuse(file, "a token is one line of 16 to 4096 visible ASCII characters, as "
                        "`openssl rand -hex 32` makes one");
  return token;
}

bool shows_token(std::string_view authorization, std::string_view token) {
  constexpr std::string_view scheme = "bearer ";
  if (authorization.size() < scheme.size()
      || !std::equal(scheme.begin(), scheme.end(), authorization.begin(), [](char a, char b) {
           return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
         }))
    return false;
  const auto shown = authorization.substr(scheme.size());
  // Each character of what is shown costs the same, right or wrong: the time tells nothing but how
  // long that is, which its sender knows.
  unsigned difference = shown.size() == token.size() ? 0U : 1U;
  for (std::size_t i = 0; i < shown.size(); ++i)
    difference |= static_cast<unsigned char>(shown[i])
                  ^ static_cast<unsigned>(static_cast<unsigned char>(token[i % token.size()]));
  return difference == 0;
}

} // namespace fermata::service
