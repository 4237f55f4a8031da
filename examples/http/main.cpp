// A host with an HTTP interface of its own. Each request tells a session something and is answered
// when the session stands still again: at the end, or at a tool call. Nothing is held open for the
// call: its result is another request, on another connection, hours later if need be, and also of
// another process.
//
//     POST /sessions/ID   a command as JSON: {"type": "post_message", "text": "Greet the world"}
//     GET  /sessions/ID   how the session stands
//
// `http FOLDER [PORT]` listens on 127.0.0.1 and keeps its sessions in FOLDER; `run.sh` talks to it.
// It knows nobody: a real host asks who sends what, and answers more than one at a time.
#include "../narrator.hpp"

#include <fermata/storage/lmdb_store.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

using namespace fermata;
using namespace fermata::example;
using boost::asio::ip::tcp;
namespace http = boost::beast::http;

namespace {

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

/// The planner: a message becomes a plan whose one subtask asks a tool of the host, the caller.
coro::task<step> planner(step_context& ctx) {
  plan_spec plan;
  plan.goal = ctx.goal;
  plan.tools["ask_name"] = {};
  subtask_spec greeting;
  greeting.id = *subtask_id::parse("greet");
  greeting.agent = *agent_name::parse("greeter");
  plan.subtasks.push_back(greeting);
  co_return step::propose(plan);
}

coro::task<step> greeter(step_context& ctx) {
  if (ctx.tool_results().empty())
    co_return step::call("ask_name", {{"question", "Who is there?"}});
  co_return step::finish("Hello, " + ctx.tool_results()[0].answer.content.get<std::string>());
}

response answer(http::status status, const json& body) {
  response made{status, 11};
  made.set(http::field::content_type, "application/json");
  made.body() = body.dump() + "\n";
  return made;
}

response refuse(const caf::error& error) {
  const bool unknown = is(error, errc::unknown_session);
  return answer(unknown ? http::status::not_found : http::status::conflict,
                {{"error", name_of(code_of(error))}, {"message", message_of(error)}});
}

response handle(runtime& rt, const request& asked) {
  constexpr std::string_view folder = "/sessions/";
  const std::string target{asked.target()};
  const auto id = session_id::parse(target.substr(std::min(folder.size(), target.size())));
  if (!target.starts_with(folder) || !id)
    return answer(http::status::not_found, {{"error", "unknown_path"}});
  const auto session = rt.session(*id);
  if (asked.method() == http::verb::post) {
    const auto body = parse_json(asked.body());
    const auto told = body ? fermata::from_json<command>(*body) : body.error();
    if (!told)
      return refuse(told.error());
    // Durable once there is a receipt: should the host die now, nothing is lost.
    if (const auto receipt = session.send(*told).get(); !receipt)
      return refuse(receipt.error());
    if (const auto paused = session.wait_until_paused(std::chrono::seconds{30}); !paused)
      return refuse(paused.error());
  }
  const auto status = session.status();
  const auto pending = query_pending(rt.store(), *id);
  if (!status || !pending)
    return refuse(status ? pending.error() : status.error());
  auto waiting = json::array();
  for (const auto& item : *pending)
    waiting.push_back(
        {{"id", item.id}, {"for", enum_name(item.waiting_for)}, {"ask", item.arguments}});
  return answer(
      http::status::ok,
      {{"state", enum_name(status->state)},
       {"pending", waiting},
       {"result", status->subtasks.empty() ? json(nullptr) : status->subtasks.back().result}});
}

void serve(runtime& rt, tcp::socket client) try {
  boost::beast::flat_buffer buffer;
  http::request_parser<http::string_body> parser;
  parser.body_limit(4'000'000);
  http::read(client, buffer, parser);
  auto made = handle(rt, parser.get());
  made.keep_alive(false);
  made.prepare_payload();
  http::write(client, made);
} catch (const boost::system::system_error&) {
  // The client went away, or does not speak HTTP. What it told a session is told.
}

} // namespace

int main(int count, char** values) try {
  runtime_options options;
  options.store = must(lmdb_store::open(count > 1 ? values[1] : "http-sessions"));
  options.policy = approval_policy::ask_for_plans();
  options.planner = must(agent_name::parse("planner"));
  runtime rt{options};
  must(rt.agents().add("planner", planner));
  must(rt.agents().add("greeter", greeter));
  rt.start();

  boost::asio::io_context context;
  const auto port = static_cast<std::uint16_t>(count > 2 ? std::stoi(values[2]) : 0);
  tcp::acceptor acceptor{context, {boost::asio::ip::address_v4::loopback(), port}};
  std::cout << "http://127.0.0.1:" << acceptor.local_endpoint().port() << std::endl;
  for (;;)
    serve(rt, acceptor.accept());
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
