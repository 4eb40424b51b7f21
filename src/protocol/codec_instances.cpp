// The codecs of this room's large types, compiled once (ZEF_CODEC_DECLARE in their headers).
#include "protocol/effects.h"
#include "protocol/genesis.h"
#include "protocol/messages.h"

ZEF_CODEC_DEFINE(zef::protocol::Request);
ZEF_CODEC_DEFINE(zef::protocol::Value);
ZEF_CODEC_DEFINE(zef::protocol::Vote);
ZEF_CODEC_DEFINE(zef::protocol::Certificate);
ZEF_CODEC_DEFINE(zef::protocol::Proof);
ZEF_CODEC_DEFINE(zef::protocol::RequestOrder);
ZEF_CODEC_DEFINE(zef::protocol::InstanceState);
ZEF_CODEC_DEFINE(zef::protocol::Refusal);
ZEF_CODEC_DEFINE(zef::protocol::AccountState);
ZEF_CODEC_DEFINE(zef::protocol::Query);
ZEF_CODEC_DEFINE(zef::protocol::Answer);
ZEF_CODEC_DEFINE(zef::protocol::Effect);
ZEF_CODEC_DEFINE(zef::protocol::Genesis);
