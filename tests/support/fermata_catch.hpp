#pragma once

// The one place that knows which Catch2 this is: version 2 on Debian 12, version 3 on Debian 13.
#ifdef FERMATA_CATCH2_V3
#  include <catch2/catch_all.hpp>
#else
#  include <catch2/catch.hpp>
#endif
