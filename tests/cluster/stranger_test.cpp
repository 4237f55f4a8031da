// Strangers at the port of a node that has TLS: what they send is read by OpenSSL alone.

#include "certificates.hpp"
#include "support.hpp"

#include <fermata_catch.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <memory>
#include <random>

namespace stranger_test {

using namespace fermata;
using namespace fermata::test;
using namespace std::chrono_literals;

namespace {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* what) const {
    Free(what);
  }
};
using context_ptr = std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>>;
using session_ptr = std::unique_ptr<SSL, freed_by<SSL_free>>;

/// A connection to a port of this machine.
class stranger {
public:
  explicit stranger(std::uint16_t port)
      : socket_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    REQUIRE(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  stranger(const stranger&) = delete;
  stranger& operator=(const stranger&) = delete;
  ~stranger() { ::close(socket_); }

  [[nodiscard]] int socket() const noexcept { return socket_; }
  /// Says this and nothing more. The node may have hung up before all is said.
  void say(const std::string& what) const {
    static_cast<void>(::send(socket_, what.data(), what.size(), MSG_NOSIGNAL));
    ::shutdown(socket_, SHUT_WR);
  }
  /// Waits for the node to hang up.
  void wait_for_end() const {
    std::array<char, 4'096> heard{};
    while (::recv(socket_, heard.data(), heard.size(), 0) > 0)
      continue;
  }

private:
  int socket_;
};

context_ptr client() {
  context_ptr made{SSL_CTX_new(TLS_client_method())};
  REQUIRE(made);
  return made;
}

/// What a client of TLS says first.
std::string client_hello() {
  const auto context = client();
  const session_ptr session{SSL_new(context.get())};
  auto* said = BIO_new(BIO_s_mem());
  SSL_set_bio(session.get(), BIO_new(BIO_s_mem()), said); // which owns both
  REQUIRE(SSL_connect(session.get()) < 0);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(said, &data);
  REQUIRE(size > 100);
  return {data, static_cast<std::size_t>(size)};
}

class fuzzer {
public:
  explicit fuzzer(std::uint64_t seed) : random_{seed} {}

  std::string noise(std::size_t longest) {
    std::string made(1 + below(longest), '\0');
    for (auto& one : made)
      one = static_cast<char>(below(256));
    return made;
  }

  /// With some bytes changed, and perhaps without its end, or with more behind it.
  std::string spoil(std::string text) {
    for (auto flips = below(8); flips > 0; --flips)
      text[below(text.size())] = static_cast<char>(below(256));
    if (below(3) == 0)
      text.resize(below(text.size()) + 1);
    if (below(3) == 0)
      text += noise(20'000);
    return text;
  }

  /// What nodes without TLS begin with: a header of CAF's protocol, which announces any length.
  std::string plain_handshake() {
    auto header = std::string("\x01\x00\x00\x00", 4);
    return header + noise(60);
  }

  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>{0, bound - 1}(random_);
  }

private:
  std::mt19937_64 random_;
};

/// Two nodes that have spoken with each other, under TLS.
struct guarded_cluster : test_cluster {
  guarded_cluster() : test_cluster{{"a", "b"}} {
    for (auto& [name, one] : nodes)
      one.tls = ours.issue(folder, name);
    start();
  }
  [[nodiscard]] std::uint16_t port_of(const std::string& node) const {
    return find_member(members, node_named(node))->port;
  }
  void work_as_ever() {
    for (const auto* node : {"a", "b"})
      for (const auto* home : {"a", "b"}) {
        const auto id = session_on(home, begun++);
        accept((*this)[node].session(id).send(propose_plan{shop_plan()}));
        accept((*this)[node].session(id).send(tool_result{call(id, 1), "green"}));
      }
    for (auto& [name, one] : nodes) {
      INFO(name << one.log.text());
      CHECK_FALSE(one.log.has("the connection was lost"));
    }
  }

  temporary_directory folder;
  authority ours{"ours"};
  int begun = 0;
};

} // namespace

TEST_CASE("strangers' bytes end their own connections under TLS, and nothing else") {
  guarded_cluster all;
  all.work_as_ever();
  const auto hello = client_hello();
  std::vector<std::unique_ptr<stranger>> silent;
  fuzzer random{7};
  for (int round = 0; round < 600; ++round) {
    const auto port = all.port_of(random.below(2) == 0 ? "a" : "b");
    if (round % 20 == 0) // and stays, as do those who say half of something
      silent.push_back(std::make_unique<stranger>(port));
    const stranger one{port};
    switch (random.below(4)) {
    case 0:
      one.say(random.noise(5'000));
      break;
    case 1:
      one.say(random.plain_handshake());
      break;
    case 2:
      one.say(hello);
      break;
    default:
      one.say(random.spoil(hello));
    }
    one.wait_for_end();
  }
  all.work_as_ever();
}

TEST_CASE("who has no certificate is not listened to, whatever the handshake lets it believe") {
  guarded_cluster all;
  const auto context = client();
  fuzzer random{11};
  for (int round = 0; round < 30; ++round) {
    const stranger one{all.port_of("a")};
    const session_ptr session{SSL_new(context.get())};
    REQUIRE(SSL_set_fd(session.get(), one.socket()) == 1);
    // In TLS 1.3 a client hears only afterwards that it is not let in.
    if (SSL_connect(session.get()) == 1) {
      const auto said = random.plain_handshake();
      static_cast<void>(SSL_write(session.get(), said.data(), static_cast<int>(said.size())));
    }
    std::array<char, 256> heard{};
    CHECK(SSL_read(session.get(), heard.data(), static_cast<int>(heard.size())) <= 0);
  }
  all.work_as_ever();
}

} // namespace stranger_test
