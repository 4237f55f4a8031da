#include <fermata/messages/live.hpp>

namespace fermata::detail {

template struct struct_codec<live_update>;
template struct struct_codec<listen_live>;
template struct struct_codec<unlisten_live>;
template struct struct_codec<live_batch>;
template struct struct_codec<live_taken>;

} // namespace fermata::detail
