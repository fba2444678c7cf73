# Cross-builds for 64-bit ARM; what is built runs under emulation (Debian: g++-aarch64-linux-gnu, qemu-user).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
# Where its C and C++ libraries are, for the emulator too.
set(sysroot /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH ${sysroot})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
find_program(emulator NAMES qemu-aarch64 qemu-aarch64-static)
if(emulator)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${emulator} -L ${sysroot})
endif()
