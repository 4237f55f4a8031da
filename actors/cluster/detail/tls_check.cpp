#include <fermata/actors/cluster/detail/tls_check.hpp>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <cstdio>
#include <memory>

namespace fermata::detail {

namespace {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* what) const noexcept {
    Free(what);
  }
};
using bio_ptr = std::unique_ptr<BIO, freed_by<BIO_free_all>>;
using certificate_ptr = std::unique_ptr<X509, freed_by<X509_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using store_ptr = std::unique_ptr<X509_STORE, freed_by<X509_STORE_free>>;
using context_ptr = std::unique_ptr<X509_STORE_CTX, freed_by<X509_STORE_CTX_free>>;
void free_stack(STACK_OF(X509) * all) {
  sk_X509_pop_free(all, X509_free);
}
using stack_ptr = std::unique_ptr<STACK_OF(X509), freed_by<free_stack>>;

/// No passphrase is asked for: who starts a node at night is not there to type one.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

std::string in_file(const char* what, const std::filesystem::path& path) {
  return std::string{what} + " " + path.string();
}

} // namespace

std::string objection_to(const tls_files& files) {
  const bio_ptr certificate_file{BIO_new_file(files.certificate.c_str(), "r")};
  if (!certificate_file)
    return in_file("the certificate", files.certificate) + " cannot be read";
  const certificate_ptr certificate{
      PEM_read_bio_X509(certificate_file.get(), nullptr, no_passphrase, nullptr)};
  if (!certificate)
    return in_file("the certificate", files.certificate) + " is no certificate in PEM";
  const stack_ptr chain{sk_X509_new_null()};
  while (auto* next = PEM_read_bio_X509(certificate_file.get(), nullptr, no_passphrase, nullptr))
    sk_X509_push(chain.get(), next);
  ERR_clear_error(); // the end of the file is one

  const bio_ptr key_file{BIO_new_file(files.key.c_str(), "r")};
  if (!key_file)
    return in_file("the key", files.key) + " cannot be read";
  const key_ptr key{PEM_read_bio_PrivateKey(key_file.get(), nullptr, no_passphrase, nullptr)};
  if (!key)
    return in_file("the key", files.key) + " is no private key in PEM without a passphrase";
  if (X509_check_private_key(certificate.get(), key.get()) != 1)
    return in_file("the key", files.key) + " is not the key of "
           + in_file("the certificate", files.certificate);

  const store_ptr trusted{X509_STORE_new()};
  if (X509_STORE_load_file(trusted.get(), files.authority.c_str()) != 1)
    return in_file("the authority", files.authority) + " has no certificate in PEM";
  const context_ptr context{X509_STORE_CTX_new()};
  X509_STORE_CTX_init(context.get(), trusted.get(), certificate.get(), chain.get());
  if (X509_verify_cert(context.get()) != 1)
    return in_file("the certificate", files.certificate) + " is not accepted: "
           + X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
  return {};
}

} // namespace fermata::detail
