#pragma once

#include <caf/error.hpp>
#include <caf/expected.hpp>
#include <caf/sec.hpp>

#include <cassert>
#include <exception>
#include <string>
#include <utility>

namespace fermata::coro {

/// How a `caf::error` travels inside tasks. Thrown by `ask` and by user code (`throw
/// failure(...)`); at the root of the tasks the scope turns it back into the error it carries.
class failure : public std::exception {
public:
  /// Carries `reason`, which must be an error (not the default-constructed one).
  explicit failure(caf::error reason) : reason_(std::move(reason)), text_(to_string(reason_)) {
    assert(reason_ && "a failure needs an error");
  }

  [[nodiscard]] const caf::error& reason() const noexcept { return reason_; }

  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

private:
  caf::error reason_;
  std::string text_;
};

/// The error that `thrown` stands for: what a `failure` carries, and `caf::sec::runtime_error` with
/// the exception's text for anything else.
[[nodiscard]] inline caf::error to_error(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const failure& failed) {
    return failed.reason();
  } catch (const std::exception& other) {
    return caf::make_error(caf::sec::runtime_error, std::string(other.what()));
  } catch (...) {
    return caf::make_error(caf::sec::runtime_error, std::string("an exception of unknown type"));
  }
}

} // namespace fermata::coro
