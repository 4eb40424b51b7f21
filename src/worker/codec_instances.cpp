// The codecs of this room's large types, compiled once (ZEF_CODEC_DECLARE in their headers).
#include "worker/peer_messages.h"

ZEF_CODEC_DEFINE(zef::worker::PeerRequest);
ZEF_CODEC_DEFINE(zef::worker::DeliveryResults);
ZEF_CODEC_DEFINE(zef::worker::Report);
