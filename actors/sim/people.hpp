#pragma once

/// Who acts in a simulated world besides the sessions: people with a character, hosts that run
/// client tools, server tools that fail, operators, those who begin sessions; models and agents
/// that do anything.
#include <fermata/actors/sim/chance_agent.hpp>
#include <fermata/actors/sim/chance_model.hpp>
#include <fermata/actors/sim/human.hpp>
#include <fermata/actors/sim/outside.hpp>
#include <fermata/actors/sim/participant.hpp>
#include <fermata/actors/sim/server_tool.hpp>
#include <fermata/actors/sim/session_author.hpp>
#include <fermata/actors/sim/session_operator.hpp>
#include <fermata/actors/sim/tool_host.hpp>
#include <fermata/actors/sim/waking_host.hpp>
