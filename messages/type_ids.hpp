#pragma once

#include <fermata/messages/chunk.hpp>
#include <fermata/messages/cluster.hpp>
#include <fermata/messages/commands.hpp>
#include <fermata/messages/events.hpp>
#include <fermata/messages/live.hpp>
#include <fermata/messages/status.hpp>

#include <caf/type_id.hpp>

/// CAF knows types on the wire by their names, so none of these is ever renamed.
CAF_BEGIN_TYPE_ID_BLOCK(fermata, caf::first_custom_type_id + 300)

CAF_ADD_TYPE_ID(fermata, (fermata::session_command))
CAF_ADD_TYPE_ID(fermata, (fermata::receipt))
CAF_ADD_TYPE_ID(fermata, (fermata::event))
CAF_ADD_TYPE_ID(fermata, (fermata::session_status))
CAF_ADD_TYPE_ID(fermata, (fermata::chunk))
CAF_ADD_TYPE_ID(fermata, (fermata::chunk_batch))
CAF_ADD_TYPE_ID(fermata, (fermata::follow_chunks))
CAF_ADD_TYPE_ID(fermata, (fermata::status_query))
CAF_ADD_TYPE_ID(fermata, (fermata::wake_session))
CAF_ADD_TYPE_ID(fermata, (fermata::unfollow_chunks))
CAF_ADD_TYPE_ID(fermata, (fermata::node_hello))
CAF_ADD_TYPE_ID(fermata, (fermata::node_status))
CAF_ADD_TYPE_ID(fermata, (fermata::pending_query))
CAF_ADD_TYPE_ID(fermata, (fermata::pending_list))
CAF_ADD_TYPE_ID(fermata, (fermata::listen_live))
CAF_ADD_TYPE_ID(fermata, (fermata::unlisten_live))
CAF_ADD_TYPE_ID(fermata, (fermata::live_batch))
CAF_ADD_TYPE_ID(fermata, (fermata::live_taken))
CAF_ADD_TYPE_ID(fermata, (fermata::answer_piece))
CAF_ADD_TYPE_ID(fermata, (fermata::next_piece))

CAF_ADD_ATOM(fermata, fermata::atoms, flush_atom, "flush")
CAF_ADD_ATOM(fermata, fermata::atoms, tick_atom, "tick")
CAF_ADD_ATOM(fermata, fermata::atoms, leave_atom, "leave")
CAF_ADD_ATOM(fermata, fermata::atoms, left_atom, "left")
CAF_ADD_ATOM(fermata, fermata::atoms, bye_atom, "bye")
CAF_ADD_ATOM(fermata, fermata::atoms, stop_atom, "stop")
CAF_ADD_ATOM(fermata, fermata::atoms, published_atom, "published")
CAF_ADD_ATOM(fermata, fermata::atoms, again_atom, "again")
CAF_ADD_ATOM(fermata, fermata::atoms, retry_atom, "retry")
CAF_ADD_ATOM(fermata, fermata::atoms, armed_atom, "armed")
CAF_ADD_ATOM(fermata, fermata::atoms, alarm_atom, "alarm")
CAF_ADD_ATOM(fermata, fermata::atoms, fired_atom, "fired")
CAF_ADD_ATOM(fermata, fermata::atoms, deadline_atom, "deadline")
CAF_ADD_ATOM(fermata, fermata::atoms, reclaim_atom, "reclaim")
CAF_ADD_ATOM(fermata, fermata::atoms, beat_atom, "beat")
CAF_ADD_ATOM(fermata, fermata::atoms, status_atom, "status")
CAF_ADD_ATOM(fermata, fermata::atoms, gone_atom, "gone")
CAF_ADD_ATOM(fermata, fermata::atoms, offered_atom, "offered")

CAF_END_TYPE_ID_BLOCK(fermata)
