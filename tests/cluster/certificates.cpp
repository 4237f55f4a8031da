#include "certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <stdexcept>

namespace fermata::test {

namespace {

using key_ptr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using certificate_ptr = std::unique_ptr<X509, decltype(&X509_free)>;

key_ptr make_key() {
  key_ptr made{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), EVP_PKEY_free};
  if (!made)
    throw std::runtime_error{"no key"};
  return made;
}

certificate_ptr make_certificate(const std::string& name, EVP_PKEY* key, long number,
                                 std::chrono::seconds validity) {
  certificate_ptr made{X509_new(), X509_free};
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), number);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -3'600);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), static_cast<long>(validity.count()));
  X509_set_pubkey(made.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return made;
}

template <class Write>
std::filesystem::path write_pem(const temporary_directory& folder, const std::string& name,
                                const Write& write) {
  const auto path = folder.path() / name;
  const std::unique_ptr<FILE, decltype(&std::fclose)> file{std::fopen(path.c_str(), "w"),
                                                           std::fclose};
  if (!file || write(file.get()) != 1)
    throw std::runtime_error{"cannot write " + path.string()};
  return path;
}

std::filesystem::path write_certificate(const temporary_directory& folder, const std::string& name,
                                        X509* what) {
  return write_pem(folder, name, [&](FILE* file) { return PEM_write_X509(file, what); });
}

} // namespace

struct authority::implementation {
  std::string name;
  key_ptr key = make_key();
  certificate_ptr certificate = make_certificate(name, key.get(), 1, std::chrono::hours{24});
  mutable long issued = 1;
};

authority::authority(const std::string& name) : implementation_{new implementation{.name = name}} {
  auto* certificate = implementation_->certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  X509V3_CTX context{};
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  auto* constraint =
      X509V3_EXT_conf_nid(nullptr, &context, NID_basic_constraints, "critical,CA:TRUE");
  X509_add_ext(certificate, constraint, -1);
  X509_EXTENSION_free(constraint);
  X509_sign(certificate, implementation_->key.get(), EVP_sha256());
}

authority::~authority() = default;

tls_files authority::issue(const temporary_directory& folder, const std::string& name,
                           std::chrono::seconds validity) const {
  const auto& self = *implementation_;
  const auto key = make_key();
  const auto certificate = make_certificate(name, key.get(), ++self.issued, validity);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(self.certificate.get()));
  X509_sign(certificate.get(), self.key.get(), EVP_sha256());
  tls_files files;
  files.certificate = write_certificate(folder, name + ".crt", certificate.get());
  files.key = write_pem(folder, name + ".key", [&](FILE* file) {
    return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  files.authority = write_certificate(folder, self.name + ".crt", self.certificate.get());
  return files;
}

} // namespace fermata::test
