#include <fermata/storage/records.hpp>

namespace fermata::detail {

template struct struct_codec<head_record>;
template struct struct_codec<plan_record>;
template struct struct_codec<subtask_record>;
template struct struct_codec<call_record>;
template struct struct_codec<entry_record>;
template struct struct_codec<message_record>;
template struct struct_codec<remembered_record>;

} // namespace fermata::detail
