// Counts what operator new gives out; for programs that consist of one source file.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

inline std::atomic<std::size_t> n_allocations{0};

void* operator new(std::size_t size, std::align_val_t alignment) {
    ++n_allocations;
    const auto line = static_cast<std::size_t>(alignment);
    void* memory = std::aligned_alloc(line, (size + line) / line * line);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
void* operator new(std::size_t size) {
    return operator new(size, std::align_val_t{alignof(std::max_align_t)});
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t /*alignment*/) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
    std::free(memory);
}
