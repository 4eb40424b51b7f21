// The one translation unit that holds Asio's code.
#include "net/asio.h"
// After the line that chooses separate compilation.
#include <boost/asio/impl/src.hpp>
