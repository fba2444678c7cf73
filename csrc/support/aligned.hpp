// Memory for registers: they are as long as a cache line at most, and a load across two lines takes twice the
// time.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace patchtst_har::support {

template <typename Value>
struct CacheLineAllocator {
    using value_type = Value;
    static constexpr std::align_val_t kAlignment{64};

    CacheLineAllocator() = default;
    template <typename Other>
    explicit CacheLineAllocator(const CacheLineAllocator<Other>& /*other*/) {}

    Value* allocate(std::size_t n) {
        return static_cast<Value*>(::operator new(n * sizeof(Value), kAlignment));
    }
    // A number that is not given a value has none: scratch memory is not filled in vain.
    void construct(Value* place) { ::new (static_cast<void*>(place)) Value; }
    template <typename Other>
    void construct(Value* place, const Other& value) {
        ::new (static_cast<void*>(place)) Value(value);
    }
    void deallocate(Value* memory, std::size_t /*n*/) { ::operator delete(memory, kAlignment); }

    friend bool operator==(const CacheLineAllocator& /*a*/, const CacheLineAllocator& /*b*/) { return true; }
    friend bool operator!=(const CacheLineAllocator& /*a*/, const CacheLineAllocator& /*b*/) { return false; }
};

template <typename Value>
using AlignedVector = std::vector<Value, CacheLineAllocator<Value>>;

using AlignedFloats = AlignedVector<float>;

}  // namespace patchtst_har::support
