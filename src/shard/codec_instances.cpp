// The codecs of this room's large types, compiled once (ZEF_CODEC_DECLARE in their headers).
#include "shard/records.h"

ZEF_CODEC_DEFINE(zef::shard::Record);
ZEF_CODEC_DEFINE(zef::shard::EffectBatch);
