#include "tests/sweep.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#if defined(_WIN32)
#include <malloc.h>
#endif

namespace {

std::atomic<std::size_t> n_counted{0};

void* aligned(std::size_t line, std::size_t size) {
#if defined(_WIN32)
    return _aligned_malloc(size, line);
#else
    return std::aligned_alloc(line, (size + line) / line * line);
#endif
}

void release(void* memory) {
#if defined(_WIN32)
    _aligned_free(memory);
#else
    std::free(memory);
#endif
}

}  // namespace

void* operator new(std::size_t size, std::align_val_t alignment) {
    ++n_counted;
    void* memory = aligned(static_cast<std::size_t>(alignment), size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
void* operator new(std::size_t size) {
    return operator new(size, std::align_val_t{alignof(std::max_align_t)});
}
void operator delete(void* memory) noexcept {
    release(memory);
}
void operator delete(void* memory, std::align_val_t /*alignment*/) noexcept {
    release(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
    release(memory);
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" {
void* __libc_malloc(std::size_t size);  // NOLINT(bugprone-reserved-identifier)

void* malloc(std::size_t size) {
    ++n_counted;
    return __libc_malloc(size);
}
}
#endif

namespace patchtst_har::tests {

void fail(const std::string& where, const std::string& what) {
    std::fprintf(stderr, "%s: %s\n", where.c_str(), what.c_str());
    std::exit(1);
}

std::size_t n_allocations() {
    return n_counted;
}

}  // namespace patchtst_har::tests

int main(int argc, char** argv) {
    try {
        patchtst_har::tests::run({argv + 1, argv + argc});
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 2;
    }
}
