#include <fermata/messages/digest.hpp>

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <stdexcept>

namespace fermata {

namespace {

void append_byte(std::string& text, unsigned int byte) {
  constexpr std::string_view digits = "0123456789abcdef";
  text += digits[byte >> 4];
  text += digits[byte & 15];
}

/// Looked up once, for as long as the process lives: OpenSSL 3 does it at each use of `EVP_sha256`,
/// which costs more than a short text.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (algorithm == nullptr)
    throw std::runtime_error("SHA-256 is not available in this OpenSSL");
  return algorithm;
}

/// Each thread's own, used again and again: making one takes several allocations.
EVP_MD_CTX* digest_context() {
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{
      EVP_MD_CTX_new(), EVP_MD_CTX_free};
  return context.get();
}

} // namespace

std::string hexadecimal_digits(std::uint64_t number) {
  std::string text;
  for (int shift = 56; shift >= 0; shift -= 8)
    append_byte(text, (number >> shift) & 255);
  return text;
}

std::string sha256(std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  auto* context = digest_context();
  if (context == nullptr || EVP_DigestInit_ex2(context, sha256_algorithm(), nullptr) != 1
      || EVP_DigestUpdate(context, data.data(), data.size()) != 1
      || EVP_DigestFinal_ex(context, digest.data(), &size) != 1)
    throw std::runtime_error("SHA-256 failed");
  std::string text;
  text.reserve(std::size_t{2} * size);
  for (unsigned int i = 0; i < size; ++i)
    append_byte(text, digest[i]);
  return text;
}

std::string digest_of(const json& value) {
  return sha256(to_text(value));
}

} // namespace fermata
