# Third-party libraries, each behind one interface target. Debian's packages; `make deps` installs them.
find_package(fmt REQUIRED)
add_library(holdfast_dep_fmt INTERFACE)
target_link_libraries(holdfast_dep_fmt INTERFACE fmt::fmt)

find_package(nlohmann_json REQUIRED)
add_library(holdfast_dep_json INTERFACE)
target_link_libraries(holdfast_dep_json INTERFACE nlohmann_json::nlohmann_json)

find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
add_library(holdfast_dep_xxhash INTERFACE)
target_include_directories(holdfast_dep_xxhash SYSTEM INTERFACE ${XXHASH_INCLUDE_DIR})

find_package(OpenSSL REQUIRED COMPONENTS Crypto)
add_library(holdfast_dep_crypto INTERFACE)
target_link_libraries(holdfast_dep_crypto INTERFACE OpenSSL::Crypto)

find_package(ICU REQUIRED COMPONENTS uc)
add_library(holdfast_dep_icu INTERFACE)
target_link_libraries(holdfast_dep_icu INTERFACE ICU::uc)

find_package(ZLIB REQUIRED)
find_path(ZSTD_INCLUDE_DIR zstd.h REQUIRED)
find_library(ZSTD_LIBRARY zstd REQUIRED)
add_library(holdfast_dep_compression INTERFACE)
target_include_directories(holdfast_dep_compression SYSTEM INTERFACE ${ZSTD_INCLUDE_DIR})
target_link_libraries(holdfast_dep_compression INTERFACE ZLIB::ZLIB ${ZSTD_LIBRARY})

find_package(CLI11 REQUIRED)
add_library(holdfast_dep_cli INTERFACE)
target_link_libraries(holdfast_dep_cli INTERFACE CLI11::CLI11)

# OpenBLAS, the pthread flavour, set to one thread by tensor/blas.cpp. The serial flavour of 0.3.21 hands one buffer to two
# concurrent callers and returns wrong products (GemmSerial.IsSafeInsideParallelLoops shows it). The run-time path pins the
# flavour, as Debian's alternatives may else pick another of the same SONAME.
find_library(OPENBLAS_LIBRARY openblas NO_DEFAULT_PATH
             HINTS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-pthread)
if(NOT OPENBLAS_LIBRARY)
  message(FATAL_ERROR "OpenBLAS's pthread flavour was not found: apt-get install libopenblas-pthread-dev, or give "
                      "-DOPENBLAS_LIBRARY=FILE of a build with threads and -DOPENBLAS_INCLUDE_DIR=DIR")
endif()
get_filename_component(OPENBLAS_DIR ${OPENBLAS_LIBRARY} DIRECTORY)
find_path(OPENBLAS_INCLUDE_DIR cblas.h REQUIRED
          HINTS /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-pthread PATH_SUFFIXES openblas)
add_library(holdfast_dep_gemm INTERFACE)
target_include_directories(holdfast_dep_gemm SYSTEM INTERFACE ${OPENBLAS_INCLUDE_DIR})
target_link_libraries(holdfast_dep_gemm INTERFACE ${OPENBLAS_LIBRARY})
target_link_options(holdfast_dep_gemm INTERFACE -Wl,-rpath,${OPENBLAS_DIR} -Wl,--disable-new-dtags)

# oneDNN: f32 GEMM where it wins (AVX-512; see tensor/blas.cpp).
set(HOLDFAST_HAVE_ONEDNN OFF)
if(NOT HOLDFAST_ONEDNN STREQUAL "OFF")
  find_path(DNNL_INCLUDE_DIR dnnl.h)
  find_library(DNNL_LIBRARY dnnl)
  find_library(GOMP_LIBRARY NAMES gomp libgomp.so.1)
  if(DNNL_INCLUDE_DIR AND DNNL_LIBRARY AND GOMP_LIBRARY)
    set(HOLDFAST_HAVE_ONEDNN ON)
    target_include_directories(holdfast_dep_gemm SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
    target_link_libraries(holdfast_dep_gemm INTERFACE ${DNNL_LIBRARY} ${GOMP_LIBRARY})
  elseif(HOLDFAST_ONEDNN STREQUAL "ON")
    message(FATAL_ERROR "HOLDFAST_ONEDNN=ON, but oneDNN was not found: apt-get install libdnnl-dev")
  endif()
endif()
if(HOLDFAST_HAVE_ONEDNN)
  message(STATUS "GEMM: OpenBLAS ${OPENBLAS_LIBRARY} and oneDNN ${DNNL_LIBRARY}")
else()
  message(STATUS "GEMM: OpenBLAS ${OPENBLAS_LIBRARY} only; without oneDNN f32 GEMM can be up to twice slower on AVX-512 "
                 "machines (apt-get install libdnnl-dev)")
endif()
target_compile_definitions(holdfast_dep_gemm INTERFACE HOLDFAST_ONEDNN=$<BOOL:${HOLDFAST_HAVE_ONEDNN}>)
