/* NyroDB from C++17: RAII over the C functions of nyro.h, in a header.
 *
 *   nyro::database db("app.nyro");                      closes itself
 *   auto users = db["users"];
 *   users.put_json(R"({"_id": 1, "name": "Ada"})");
 *   if (auto ada = users.get_json(1)) std::cout << *ada;
 *
 *   db.write([](nyro::transaction &tx) {                commits on return, rolls back on an exception
 *       tx["users"].remove(1);
 *   });
 *
 *   auto snapshot = db.snapshot();                      documents borrowed, not copied
 *   for (nyro::bytes_view user : snapshot["users"].scan()) { ... }
 *
 *   auto scores = db.keyspace("scores");                values by key, in the order of the keys
 *   scores.put("ada", "36");
 *   for (nyro::entry e : scores.prefix("a")) { ... }
 *
 * Handles are move-only and released by their destructors, in any order. Every call that fails throws nyro::error,
 * with the number and the name of docs/errors.md. Documents are MessagePack (nyro::bytes_view) or JSON text; use the
 * MessagePack library that you have, or none. Blocking and threads are as nyro.h says: a handle may be used by all
 * threads, a transaction by the one that began it.
 */
#ifndef NYRO_HPP
#define NYRO_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "nyro.h"

namespace nyro {

/* ---- bytes ---------------------------------------------------------------------------------------- */

/** Bytes that belong to somebody else. Converts from anything with data() and size() of one-byte elements. */
class bytes_view {
  public:
    using value_type = std::uint8_t;

    constexpr bytes_view() noexcept = default;
    bytes_view(const void *data, std::size_t size) noexcept : data_(static_cast<const std::uint8_t *>(data)), size_(size) {}
    template <class Bytes, class = std::enable_if_t<sizeof(*std::declval<const Bytes &>().data()) == 1>>
    bytes_view(const Bytes &bytes) noexcept : bytes_view(bytes.data(), bytes.size()) {}

    const std::uint8_t *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const std::uint8_t *begin() const noexcept { return data_; }
    const std::uint8_t *end() const noexcept { return data_ + size_; }
    std::uint8_t operator[](std::size_t at) const noexcept { return data_[at]; }
    std::vector<std::uint8_t> to_vector() const { return {begin(), end()}; }

    friend bool operator==(bytes_view a, bytes_view b) noexcept {
        return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.data_, b.data_, a.size_) == 0);
    }
    friend bool operator!=(bytes_view a, bytes_view b) noexcept { return !(a == b); }

  private:
    const std::uint8_t *data_ = nullptr;
    std::size_t size_ = 0;
};

/** Bytes that the library handed out, freed by their destructor. */
class buffer {
  public:
    buffer() noexcept = default;
    buffer(void *data, std::size_t size) noexcept : data_(static_cast<std::uint8_t *>(data)), size_(size) {}
    buffer(buffer &&other) noexcept : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
    buffer &operator=(buffer &&other) noexcept {
        data_ = std::move(other.data_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }

    const std::uint8_t *data() const noexcept { return data_.get(); }
    std::size_t size() const noexcept { return size_; }
    const std::uint8_t *begin() const noexcept { return data(); }
    const std::uint8_t *end() const noexcept { return data() + size_; }
    /** The bytes as text. */
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data()), size_}; }
    explicit operator bool() const noexcept { return data_ != nullptr; }

  private:
    struct release {
        void operator()(void *data) const noexcept { nyro_free(data); }
    };
    std::unique_ptr<std::uint8_t, release> data_;
    std::size_t size_ = 0;
};

/* ---- errors --------------------------------------------------------------------------------------- */

/** A call failed. */
class error : public std::runtime_error {
  public:
    error(std::uint32_t code, const std::string &message) : std::runtime_error(message), code_(code) {}

    /** The stable number: one of nyro_code, or of a newer library. */
    std::uint32_t code() const noexcept { return code_; }
    /** Its name, such as "DuplicateId". */
    const char *name() const noexcept { return nyro_error_name(code_); }

  private:
    std::uint32_t code_;
};

/** Some documents of insert_many were not inserted. */
class bulk_write_error : public error {
  public:
    /** A document that was not inserted. */
    struct failure {
        std::uint64_t place; /**< Among the documents given. */
        std::uint32_t code;
        std::string message;
    };

    bulk_write_error(const std::string &message, std::uint64_t inserted, std::vector<failure> failures)
        : error(NYRO_BULK_WRITE, message), inserted_(inserted), failures_(std::move(failures)) {}

    std::uint64_t inserted() const noexcept { return inserted_; }
    const std::vector<failure> &failures() const noexcept { return failures_; }

  private:
    std::uint64_t inserted_;
    std::vector<failure> failures_;
};

namespace detail {

inline void check(std::uint32_t code, const nyro_error &error) {
    if (code != NYRO_OK) {
        throw nyro::error(code, error.message);
    }
}

/** A handle that is released by its destructor. */
template <std::uint32_t (*Release)(std::uint64_t, nyro_error *)> class handle {
  public:
    handle() noexcept = default;
    explicit handle(std::uint64_t value) noexcept : value_(value) {}
    handle(handle &&other) noexcept : value_(std::exchange(other.value_, 0)) {}
    handle &operator=(handle &&other) noexcept {
        if (this != &other) {
            reset();
            value_ = std::exchange(other.value_, 0);
        }
        return *this;
    }
    handle(const handle &) = delete;
    handle &operator=(const handle &) = delete;
    ~handle() { reset(); }

    std::uint64_t get() const noexcept { return value_; }
    std::uint64_t take() noexcept { return std::exchange(value_, 0); }
    void reset() noexcept {
        if (value_ != 0) {
            Release(take(), nullptr);
        }
    }

  private:
    std::uint64_t value_ = 0;
};

/** Reads what the library writes as MessagePack: arrays, unsigned integers and strings. */
class reader {
  public:
    reader(const std::uint8_t *data, std::size_t size) : at_(data), end_(data + size) {}

    std::uint64_t head(std::uint8_t fix, std::uint8_t fix_bits, std::uint8_t first_wide, int widths) {
        const std::uint8_t byte = next();
        if ((byte & static_cast<std::uint8_t>(~fix_bits)) == fix) {
            return byte & fix_bits;
        }
        const int width = byte - first_wide;
        if (width < 0 || width >= widths) {
            throw error(NYRO_INTERNAL, "a result that can't be read");
        }
        // Strings and integers begin with one byte, arrays with two.
        return big_endian(1u << (widths == 2 ? width + 1 : width));
    }
    std::uint64_t array() { return head(0x90, 0x0f, 0xdc, 2); }
    std::uint64_t integer() { return head(0x00, 0x7f, 0xcc, 4); }
    std::string text() {
        const std::uint64_t size = head(0xa0, 0x1f, 0xd9, 3);
        if (size > static_cast<std::uint64_t>(end_ - at_)) {
            throw error(NYRO_INTERNAL, "a result that can't be read");
        }
        std::string text(reinterpret_cast<const char *>(at_), static_cast<std::size_t>(size));
        at_ += size;
        return text;
    }

  private:
    std::uint8_t next() {
        if (at_ == end_) {
            throw error(NYRO_INTERNAL, "a result that can't be read");
        }
        return *at_++;
    }
    std::uint64_t big_endian(unsigned bytes) {
        std::uint64_t value = 0;
        while (bytes-- > 0) {
            value = value << 8 | next();
        }
        return value;
    }

    const std::uint8_t *at_;
    const std::uint8_t *end_;
};

} // namespace detail

/** The version of the library that is loaded. */
inline std::string_view version() { return nyro_version(); }

/* ---- ids ------------------------------------------------------------------------------------------ */

namespace detail {

/** Integers that are ids: no characters, no truth values, nothing wider than 64 bits. */
template <class T>
constexpr bool is_id_integer = std::is_integral_v<T> && sizeof(T) <= 8 && !std::is_same_v<T, bool> && !std::is_same_v<T, char> &&
                               !std::is_same_v<T, wchar_t> && !std::is_same_v<T, char16_t> && !std::is_same_v<T, char32_t>;

} // namespace detail

/** An _id given to a call: an integer, text or bytes, borrowed until the call returns. */
class id {
  public:
    template <class Integer, std::enable_if_t<detail::is_id_integer<Integer>, int> = 0>
    id(Integer integer) noexcept
        : id_(std::is_signed_v<Integer> ? nyro_id_int(static_cast<std::int64_t>(integer))
                                        : nyro_id_uint(static_cast<std::uint64_t>(integer))) {}
    id(std::string_view text) noexcept : id_(nyro_id_string(text.data() ? text.data() : "", text.size())) {}
    id(const std::string &text) noexcept : id(std::string_view(text)) {}
    id(const char *text) noexcept : id(text ? std::string_view(text) : std::string_view()) {}
    id(std::nullptr_t) = delete;
    id(const std::vector<std::uint8_t> &bytes) noexcept : id(bytes_view(bytes)) {}
    /** An id that a call gave; borrowed. */
    id(const std::variant<std::int64_t, std::uint64_t, std::string, std::vector<std::uint8_t>> &owned) noexcept
        : id(std::visit([](const auto &value) { return id(value); }, owned)) {}
    id(bytes_view bytes) noexcept : id_(nyro_id_bytes(bytes.data() ? bytes.data() : reinterpret_cast<const std::uint8_t *>(""), bytes.size())) {}

    /** An id as JSON text: 42, "ada". */
    static id json(std::string_view json) noexcept { return id(nyro_id_json(json.data(), json.size())); }
    /** An id as one MessagePack value. */
    static id msgpack(bytes_view value) noexcept { return id(nyro_id_msgpack(value.data(), value.size())); }

    const nyro_id &raw() const noexcept { return id_; }

  private:
    explicit id(nyro_id raw) noexcept : id_(raw) {}
    nyro_id id_;
};

/** An _id that a call gave: an integer, an integer above 2^63-1, text, or bytes. */
using owned_id = std::variant<std::int64_t, std::uint64_t, std::string, std::vector<std::uint8_t>>;

namespace detail {

/** Takes over an id of the library. */
class id_slot {
  public:
    id_slot() noexcept : raw_{} {}
    id_slot(const id_slot &) = delete;
    id_slot &operator=(const id_slot &) = delete;
    ~id_slot() { nyro_id_free(&raw_); }
    nyro_id *out() noexcept { return &raw_; }
    owned_id take() const {
        const auto *data = static_cast<const std::uint8_t *>(raw_.data);
        switch (raw_.kind) {
        case NYRO_ID_INT: return raw_.integer;
        case NYRO_ID_UINT: return static_cast<std::uint64_t>(raw_.integer);
        case NYRO_ID_STRING: return std::string(reinterpret_cast<const char *>(data), raw_.bytes);
        default: return std::vector<std::uint8_t>(data, data + raw_.bytes);
        }
    }

  private:
    nyro_id raw_;
};

} // namespace detail

/* ---- long calls ----------------------------------------------------------------------------------- */

/** Stops long calls from another thread. */
class cancel_token {
  public:
    cancel_token() {
        nyro_error e;
        nyro_cancel made;
        detail::check(nyro_cancel_new(&made, &e), e);
        handle_ = decltype(handle_)(made);
    }
    void cancel() {
        nyro_error e;
        detail::check(nyro_cancel_fire(handle_.get(), &e), e);
    }
    nyro_cancel raw() const noexcept { return handle_.get(); }

  private:
    detail::handle<nyro_cancel_release> handle_;
};

/** How far a long call is. */
struct progress {
    std::string_view phase;
    std::uint64_t done;
    std::uint64_t total; /**< 0 where it is not known. */
    std::string_view unit;
};

/** How a long call is watched and stopped. */
struct control {
    /** Told how far the call is, on its thread; false stops it. What it throws stops the call and is thrown by it. */
    std::function<bool(const progress &)> on_progress{};
    std::uint64_t timeout_ms = 0; /**< 0: none. */
    const cancel_token *cancel = nullptr;
};

namespace detail {

/** A control for the C functions: no exception goes through them. */
class watch {
  public:
    explicit watch(const control &given) : given_(given), raw_{} {
        raw_.struct_bytes = sizeof raw_;
        raw_.timeout_ms = given.timeout_ms;
        raw_.cancel = given.cancel ? given.cancel->raw() : 0;
        if (given.on_progress) {
            raw_.progress = &watch::tell;
            raw_.context = this;
        }
    }
    watch(const watch &) = delete;
    watch &operator=(const watch &) = delete;

    const nyro_control *raw() const noexcept { return &raw_; }
    /** Throws what the callback threw, or the error of the call. */
    void check(std::uint32_t code, const nyro_error &e) const {
        if (thrown_) {
            std::rethrow_exception(thrown_);
        }
        detail::check(code, e);
    }

  private:
    static std::uint32_t tell(void *context, const nyro_progress *p) {
        watch &self = *static_cast<watch *>(context);
        try {
            return self.given_.on_progress({{p->phase, p->phase_bytes}, p->done, p->total, {p->unit, p->unit_bytes}}) ? 0 : 1;
        } catch (...) {
            self.thrown_ = std::current_exception();
            return 1;
        }
    }

    const control &given_;
    nyro_control raw_;
    std::exception_ptr thrown_;
};

/** Goes through a scan or range, step by step. What it points at ends with the next step. */
template <class Walk> class step_iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = typename Walk::item;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type *;
    using reference = value_type;

    step_iterator() noexcept = default;
    explicit step_iterator(Walk *of) : of_(of) { ++*this; }
    value_type operator*() const noexcept { return item_; }
    pointer operator->() const noexcept { return &item_; }
    step_iterator &operator++() {
        const std::optional<value_type> next = of_->next();
        item_ = next.value_or(value_type());
        of_ = next ? of_ : nullptr;
        return *this;
    }
    /** What `*it++` reads: a copy, as the next step ends the item. */
    struct copied {
        typename Walk::owned_item item;
        value_type operator*() const noexcept { return item; }
    };
    copied operator++(int) {
        copied before{Walk::own(item_)};
        ++*this;
        return before;
    }
    friend bool operator==(const step_iterator &a, const step_iterator &b) noexcept { return a.of_ == b.of_; }
    friend bool operator!=(const step_iterator &a, const step_iterator &b) noexcept { return a.of_ != b.of_; }

  private:
    Walk *of_ = nullptr;
    value_type item_;
};

} // namespace detail

/* ---- scans ---------------------------------------------------------------------------------------- */

/** A scan: a range to go through once. Each document is valid until the next step. */
class scan {
  public:
    explicit scan(nyro_scan raw) noexcept : handle_(raw) {}

    /** The next document, or nothing at the end. */
    std::optional<bytes_view> next() {
        nyro_error e;
        const std::uint8_t *data;
        std::size_t size;
        detail::check(nyro_scan_next(handle_.get(), &data, &size, &e), e);
        if (data == nullptr) {
            return std::nullopt;
        }
        return bytes_view(data, size);
    }

    /** A scan begun after this token goes on behind the last document given. */
    std::uint64_t token() const {
        nyro_error e;
        std::uint64_t token;
        detail::check(nyro_scan_token(handle_.get(), &token, &e), e);
        return token;
    }

    using item = bytes_view;
    using owned_item = std::vector<std::uint8_t>;
    using iterator = detail::step_iterator<scan>;
    static owned_item own(item document) { return document.to_vector(); }

    /** Goes to the next document: a range is gone through once. */
    iterator begin() { return iterator(this); }
    iterator end() noexcept { return {}; }
    nyro_scan raw() const noexcept { return handle_.get(); }

  private:
    detail::handle<nyro_scan_close> handle_;
};

/* ---- collections ---------------------------------------------------------------------------------- */

/** How insert_many goes on after a document that can't be inserted. */
struct insert_many_options {
    bool ordered = true; /**< Stop at the first failure and keep what came before it, or insert all but the failures. */
    bool atomic = false; /**< Keep nothing if any document fails. */
};

/** A collection of a database, of a snapshot (writing is the error ReadOnly) or of a transaction. */
class collection {
  public:
    collection(nyro_scope scope, std::string_view name) {
        nyro_error e;
        nyro_collection opened;
        detail::check(nyro_collection_open(scope, name.data() ? name.data() : "", name.size(), &opened, &e), e);
        handle_ = decltype(handle_)(opened);
    }

    /** The document with this id, as MessagePack. */
    std::optional<buffer> get(const id &id) const {
        nyro_error e;
        std::uint8_t *data;
        std::size_t size;
        detail::check(nyro_get(handle_.get(), id.raw(), &data, &size, &e), e);
        if (data == nullptr) {
            return std::nullopt;
        }
        return buffer(data, size);
    }

    /** The document with this id, as JSON text. */
    std::optional<std::string> get_json(const id &id) const {
        nyro_error e;
        char *data;
        std::size_t size;
        detail::check(nyro_get_json(handle_.get(), id.raw(), &data, &size, &e), e);
        if (data == nullptr) {
            return std::nullopt;
        }
        return std::string(buffer(data, size).text());
    }

    /** Copies the document into `into`, which is made as large as it needs; false if there is none. No allocation where
     * it is large enough already. */
    bool get_into(const id &id, std::vector<std::uint8_t> &into) const {
        into.resize(into.capacity());
        for (;;) {
            nyro_error e;
            std::size_t size;
            detail::check(nyro_get_into(handle_.get(), id.raw(), into.data(), into.size(), &size, &e), e);
            const bool fits = size <= into.size();
            into.resize(size);
            if (fits) {
                return size > 0;
            }
        }
    }

    /** The documents with these ids, in their order; nothing for each that is not there. All as of one commit. */
    std::vector<std::optional<std::vector<std::uint8_t>>> get_many(const std::vector<id> &ids) const {
        std::vector<nyro_id> raw;
        raw.reserve(ids.size());
        for (const id &id : ids) {
            raw.push_back(id.raw());
        }
        std::vector<std::size_t> ends(ids.size());
        nyro_error e;
        std::uint8_t *data;
        std::size_t size;
        detail::check(nyro_get_many(handle_.get(), raw.data(), raw.size(), &data, &size, ends.data(), &e), e);
        const buffer documents(data, size);
        std::vector<std::optional<std::vector<std::uint8_t>>> found(ids.size());
        std::size_t start = 0;
        for (std::size_t i = 0; i < ids.size(); start = ends[i++]) {
            if (ends[i] > start) {
                found[i].emplace(documents.begin() + start, documents.begin() + ends[i]);
            }
        }
        return found;
    }

    bool contains(const id &id) const {
        nyro_error e;
        std::uint32_t found;
        detail::check(nyro_contains(handle_.get(), id.raw(), &found, &e), e);
        return found != 0;
    }

    /** The number of documents, exact and in constant time. */
    std::uint64_t count_documents() const {
        nyro_error e;
        std::uint64_t count;
        detail::check(nyro_count(handle_.get(), &count, &e), e);
        return count;
    }

    /** Inserts the document, or replaces the one with its _id. */
    owned_id put(bytes_view document) { return write(nyro_put, document); }
    owned_id put_json(std::string_view json) { return write_json(nyro_put_json, json); }
    /** Inserts the document. Error: DuplicateId. */
    owned_id insert_one(bytes_view document) { return write(nyro_insert_one, document); }
    owned_id insert_one_json(std::string_view json) { return write_json(nyro_insert_one_json, json); }

    /** Inserts documents in one commit and gives how many. Throws bulk_write_error. */
    template <class Documents> std::uint64_t insert_many(const Documents &documents, insert_many_options options = {}) {
        std::vector<std::uint8_t> bytes;
        std::vector<std::size_t> ends;
        for (const auto &document : documents) {
            const bytes_view view(document);
            bytes.insert(bytes.end(), view.begin(), view.end());
            ends.push_back(bytes.size());
        }
        const std::uint32_t flags = (options.ordered ? 0u : NYRO_INSERT_UNORDERED) | (options.atomic ? NYRO_INSERT_ATOMIC : 0u);
        nyro_error e;
        nyro_insert_result result;
        const std::uint32_t code = nyro_insert_many(handle_.get(), bytes.data(), bytes.size(), ends.data(), ends.size(), flags, &result, &e);
        const buffer ids(result.ids, result.ids_bytes), failures(result.failures, result.failures_bytes);
        if (code == NYRO_BULK_WRITE) {
            throw bulk_write_error(e.message, result.inserted, read_failures(failures));
        }
        detail::check(code, e);
        return result.inserted;
    }

    /** Replaces the document with this id; false, and nothing changed, if there is none. */
    bool replace_one(const id &id, bytes_view document) {
        nyro_error e;
        std::uint32_t replaced;
        detail::check(nyro_replace_one(handle_.get(), id.raw(), document.data(), document.size(), &replaced, &e), e);
        return replaced != 0;
    }

    /** Deletes the document with this id; false if there is none. */
    bool remove(const id &id) {
        nyro_error e;
        std::uint32_t deleted;
        detail::check(nyro_delete(handle_.get(), id.raw(), &deleted, &e), e);
        return deleted != 0;
    }

    /** A scan of the documents after `token` (0: of all), in the order they were last written. */
    nyro::scan scan(std::uint64_t token = 0) const {
        nyro_error e;
        nyro_scan opened;
        detail::check(nyro_scan_open(handle_.get(), token, &opened, &e), e);
        return nyro::scan(opened);
    }

    nyro_collection raw() const noexcept { return handle_.get(); }

  private:
    template <class Write> owned_id write(Write write, bytes_view document) {
        nyro_error e;
        detail::id_slot id;
        detail::check(write(handle_.get(), document.data(), document.size(), id.out(), &e), e);
        return id.take();
    }
    template <class Write> owned_id write_json(Write write, std::string_view json) {
        nyro_error e;
        detail::id_slot id;
        detail::check(write(handle_.get(), json.data(), json.size(), id.out(), &e), e);
        return id.take();
    }
    static std::vector<bulk_write_error::failure> read_failures(const buffer &bytes) {
        detail::reader reader(bytes.data(), bytes.size());
        std::vector<bulk_write_error::failure> failures;
        for (std::uint64_t left = reader.array(); left > 0; left--) {
            reader.array();
            const std::uint64_t place = reader.integer();
            const auto code = static_cast<std::uint32_t>(reader.integer());
            failures.push_back({place, code, reader.text()});
        }
        return failures;
    }

    detail::handle<nyro_collection_release> handle_;
};

namespace detail {

/** What nyro_collection_names and nyro_keyspace_names give. */
template <class Call> std::vector<std::string> names(Call call, nyro_scope scope) {
    nyro_error e;
    std::uint8_t *data;
    std::size_t size;
    check(call(scope, NYRO_FORMAT_MSGPACK, &data, &size, &e), e);
    const buffer document(data, size);
    // {"items": [..]}: behind the head of the map and the name.
    reader reader(document.data() + 1, document.size() - 1);
    reader.text();
    std::vector<std::string> names;
    for (std::uint64_t left = reader.array(); left > 0; left--) {
        names.push_back(reader.text());
    }
    return names;
}

} // namespace detail

/** A collection of a snapshot, whose documents can be borrowed. */
class snapshot_collection : public collection {
  public:
    using collection::collection;

    /** The document with this id, in the database's own memory: valid until this and its snapshot are gone. */
    std::optional<bytes_view> borrow(const id &id) const {
        nyro_error e;
        const std::uint8_t *data;
        std::size_t size;
        detail::check(nyro_get_borrowed(raw(), id.raw(), &data, &size, &e), e);
        if (data == nullptr) {
            return std::nullopt;
        }
        return bytes_view(data, size);
    }
};

/* ---- keyspaces ------------------------------------------------------------------------------------ */

/** A key or value: bytes, or text, without its NUL. */
class bytes_or_text : public bytes_view {
  public:
    bytes_or_text(const char *text) noexcept : bytes_view(text, text ? std::strlen(text) : 0) {}
    template <class Bytes, class = std::enable_if_t<std::is_convertible_v<const Bytes &, bytes_view>>>
    bytes_or_text(const Bytes &bytes) noexcept : bytes_view(bytes) {}
    bytes_or_text(std::nullptr_t) = delete;
};

/** Which keys: `nyro::keys().at_least("a").below("c")`, `nyro::keys::with_prefix("user:")`; all, if nothing is said. It
 * borrows the keys that it is given. */
class keys {
  public:
    keys() noexcept : raw_{} {}
    static keys with_prefix(bytes_or_text prefix) noexcept { return keys().start(NYRO_BOUND_PREFIX, prefix); }
    keys &at_least(bytes_or_text key) noexcept { return start(NYRO_BOUND_INCLUDED, key); }
    keys &above(bytes_or_text key) noexcept { return start(NYRO_BOUND_EXCLUDED, key); }
    keys &at_most(bytes_or_text key) noexcept { return end(NYRO_BOUND_INCLUDED, key); }
    keys &below(bytes_or_text key) noexcept { return end(NYRO_BOUND_EXCLUDED, key); }
    const nyro_bounds *raw() const noexcept { return &raw_; }

  private:
    keys &start(std::uint32_t kind, bytes_view key) noexcept {
        raw_.start_kind = kind;
        raw_.start = key.data();
        raw_.start_bytes = key.size();
        return *this;
    }
    keys &end(std::uint32_t kind, bytes_view key) noexcept {
        raw_.end_kind = kind;
        raw_.end = key.data();
        raw_.end_bytes = key.size();
        return *this;
    }
    nyro_bounds raw_;
};

/** A key and its value. */
struct entry {
    bytes_view key;
    bytes_view value;
};

/** A key and its value, copied. */
struct owned_entry {
    std::vector<std::uint8_t> key;
    std::vector<std::uint8_t> value;
    operator entry() const noexcept { return {key, value}; }
};

/** The keys of a range with their values, to go through once. Each entry is valid until the next step. */
class key_range {
  public:
    explicit key_range(nyro_range raw) noexcept : handle_(raw) {}

    /** The next entry, or nothing at the end. */
    std::optional<entry> next() {
        nyro_error e;
        const std::uint8_t *key, *value;
        std::size_t key_size, value_size;
        detail::check(nyro_range_next(handle_.get(), &key, &key_size, &value, &value_size, &e), e);
        if (key == nullptr) {
            return std::nullopt;
        }
        return entry{bytes_view(key, key_size), bytes_view(value, value_size)};
    }

    /** Goes to a key: the next entry is that key's, or the first one behind it. */
    void seek(bytes_or_text key) {
        nyro_error e;
        detail::check(nyro_range_seek(handle_.get(), key.data(), key.size(), &e), e);
    }

    using item = entry;
    using owned_item = owned_entry;
    using iterator = detail::step_iterator<key_range>;
    static owned_item own(const item &entry) { return {entry.key.to_vector(), entry.value.to_vector()}; }

    /** Goes to the next entry: a range is gone through once. */
    iterator begin() { return iterator(this); }
    iterator end() noexcept { return {}; }
    nyro_range raw() const noexcept { return handle_.get(); }

  private:
    detail::handle<nyro_range_close> handle_;
};

/** Changes to make in one commit. It copies what it is given. */
class batch {
  public:
    batch &put(bytes_or_text key, bytes_or_text value) { return add(NYRO_CHANGE_PUT, key, value); }
    batch &remove(bytes_or_text key) { return add(NYRO_CHANGE_DELETE, key, {}); }
    std::size_t size() const noexcept { return changes_.size(); }

  private:
    friend class keyspace;
    struct change {
        std::uint32_t kind;
        std::size_t key_size, value_size;
    };

    batch &add(std::uint32_t kind, bytes_view key, bytes_view value) {
        bytes_.insert(bytes_.end(), key.begin(), key.end());
        bytes_.insert(bytes_.end(), value.begin(), value.end());
        changes_.push_back({kind, key.size(), value.size()});
        return *this;
    }

    std::vector<nyro_change> raw() const {
        std::vector<nyro_change> all;
        all.reserve(changes_.size());
        const std::uint8_t *at = bytes_.data();
        for (const change &c : changes_) {
            all.push_back({c.kind, 0, at, c.key_size, at + c.key_size, c.value_size});
            at += c.key_size + c.value_size;
        }
        return all;
    }

    std::vector<std::uint8_t> bytes_;
    std::vector<change> changes_;
};

/** An ordered map from bytes to bytes: of a database, of a snapshot (writing is the error ReadOnly) or of a transaction. */
class keyspace {
  public:
    keyspace(nyro_scope scope, std::string_view name) {
        nyro_error e;
        nyro_keyspace opened;
        detail::check(nyro_keyspace_open(scope, name.data() ? name.data() : "", name.size(), &opened, &e), e);
        handle_ = decltype(handle_)(opened);
    }

    /** The value of a key, copied. */
    std::optional<buffer> get(bytes_or_text key) const {
        nyro_error e;
        std::uint8_t *data;
        std::size_t size;
        detail::check(nyro_kv_get(handle_.get(), key.data(), key.size(), &data, &size, &e), e);
        if (data == nullptr) {
            return std::nullopt;
        }
        return buffer(data, size);
    }
    bool contains(bytes_or_text key) const {
        nyro_error e;
        std::uint32_t found;
        detail::check(nyro_kv_contains(handle_.get(), key.data(), key.size(), &found, &e), e);
        return found != 0;
    }
    /** The number of keys, about. */
    std::uint64_t estimated_count() const {
        nyro_error e;
        std::uint64_t count;
        detail::check(nyro_kv_estimated_count(handle_.get(), &count, &e), e);
        return count;
    }

    void put(bytes_or_text key, bytes_or_text value) {
        nyro_error e;
        detail::check(nyro_kv_put(handle_.get(), key.data(), key.size(), value.data(), value.size(), &e), e);
    }
    /** Deletes a key, whether it is there or not. */
    void remove(bytes_or_text key) {
        nyro_error e;
        detail::check(nyro_kv_delete(handle_.get(), key.data(), key.size(), &e), e);
    }
    /** Deletes all keys of a range, in the same short time whatever their number. */
    void remove_range(const keys &keys) {
        nyro_error e;
        detail::check(nyro_kv_delete_range(handle_.get(), keys.raw(), &e), e);
    }
    void clear() {
        nyro_error e;
        detail::check(nyro_kv_clear(handle_.get(), &e), e);
    }
    /** Makes all changes in one commit, or none. */
    void write(const batch &batch) {
        const std::vector<nyro_change> changes = batch.raw();
        nyro_error e;
        detail::check(nyro_kv_write(handle_.get(), changes.data(), changes.size(), &e), e);
    }

    /** The keys of a range with their values, in order or backward. */
    key_range range(const keys &keys = {}, bool backward = false) const {
        nyro_error e;
        nyro_range opened;
        detail::check(nyro_range_open(handle_.get(), keys.raw(), backward ? NYRO_RANGE_BACKWARD : 0, &opened, &e), e);
        return key_range(opened);
    }
    /** The keys that begin with these bytes. */
    key_range prefix(bytes_or_text prefix, bool backward = false) const { return range(keys::with_prefix(prefix), backward); }
    std::optional<owned_entry> first() const { return one(false); }
    std::optional<owned_entry> last() const { return one(true); }
    nyro_keyspace raw() const noexcept { return handle_.get(); }

  private:
    std::optional<owned_entry> one(bool backward) const {
        key_range all = range({}, backward);
        const std::optional<entry> found = all.next();
        return found ? std::optional<owned_entry>(key_range::own(*found)) : std::nullopt;
    }

    detail::handle<nyro_keyspace_release> handle_;
};

/** The whole database as of one commit. */
class snapshot {
  public:
    explicit snapshot(nyro_snapshot raw) noexcept : handle_(raw) {}

    std::uint64_t commit() const {
        nyro_error e;
        std::uint64_t commit;
        detail::check(nyro_snapshot_commit(handle_.get(), &commit, &e), e);
        return commit;
    }
    snapshot_collection collection(std::string_view name) const { return snapshot_collection(handle_.get(), name); }
    snapshot_collection operator[](std::string_view name) const { return collection(name); }
    nyro::keyspace keyspace(std::string_view name) const { return nyro::keyspace(handle_.get(), name); }
    /** Names of the keyspaces, sorted. */
    std::vector<std::string> keyspace_names() const { return detail::names(nyro_keyspace_names, handle_.get()); }
    /** Names of the collections, sorted. */
    std::vector<std::string> collection_names() const { return detail::names(nyro_collection_names, handle_.get()); }
    nyro_snapshot raw() const noexcept { return handle_.get(); }

  private:
    detail::handle<nyro_snapshot_release> handle_;
};

/* ---- databases ------------------------------------------------------------------------------------ */

namespace detail {

inline void create_collection(nyro_scope scope, std::string_view name) {
    nyro_error e;
    check(nyro_create_collection(scope, name.data(), name.size(), &e), e);
}
inline void rename_collection(nyro_scope scope, std::string_view from, std::string_view to) {
    nyro_error e;
    check(nyro_rename_collection(scope, from.data(), from.size(), to.data(), to.size(), &e), e);
}
inline bool drop_collection(nyro_scope scope, std::string_view name) {
    nyro_error e;
    std::uint32_t dropped;
    check(nyro_drop_collection(scope, name.data(), name.size(), &dropped, &e), e);
    return dropped != 0;
}
inline void rename_keyspace(nyro_scope scope, std::string_view from, std::string_view to) {
    nyro_error e;
    check(nyro_rename_keyspace(scope, from.data(), from.size(), to.data(), to.size(), &e), e);
}
inline bool drop_keyspace(nyro_scope scope, std::string_view name) {
    nyro_error e;
    std::uint32_t dropped;
    check(nyro_drop_keyspace(scope, name.data(), name.size(), &dropped, &e), e);
    return dropped != 0;
}

} // namespace detail

/** A write transaction; not committed, it is rolled back by its destructor. Used, and destroyed, by the thread that began
 * it: destroyed elsewhere it stays open, and other writers wait, until that thread ends, which ends it, too. */
class transaction {
  public:
    explicit transaction(nyro_transaction raw) noexcept : handle_(raw) {}

    nyro::collection collection(std::string_view name) const { return nyro::collection(handle_.get(), name); }
    nyro::collection operator[](std::string_view name) const { return collection(name); }
    nyro::keyspace keyspace(std::string_view name) const { return nyro::keyspace(handle_.get(), name); }
    void create_collection(std::string_view name) { detail::create_collection(handle_.get(), name); }
    void rename_collection(std::string_view from, std::string_view to) { detail::rename_collection(handle_.get(), from, to); }
    bool drop_collection(std::string_view name) { return detail::drop_collection(handle_.get(), name); }
    void rename_keyspace(std::string_view from, std::string_view to) { detail::rename_keyspace(handle_.get(), from, to); }
    bool drop_keyspace(std::string_view name) { return detail::drop_keyspace(handle_.get(), name); }

    /** Commits and gives the commit number. */
    std::uint64_t commit() {
        nyro_error e;
        std::uint64_t commit;
        const std::uint32_t code = nyro_commit(handle_.get(), &commit, &e);
        if (code != NYRO_WRONG_THREAD) {
            handle_.take();
        }
        detail::check(code, e);
        return commit;
    }
    void rollback() {
        nyro_error e;
        const std::uint32_t code = nyro_rollback(handle_.get(), &e);
        if (code != NYRO_WRONG_THREAD) {
            handle_.take();
        }
        detail::check(code, e);
    }
    nyro_transaction raw() const noexcept { return handle_.get(); }

  private:
    detail::handle<nyro_rollback> handle_;
};

/** How a database is opened: nyro_options with its defaults. */
struct options : nyro_options {
    options() : nyro_options{} {
        nyro_error e;
        detail::check(nyro_options_init(this, sizeof(nyro_options), &e), e);
    }
};

/** Which backup to make. */
struct backup_options {
    std::string_view name{};  /**< The name to remember it by; empty: none. */
    std::string_view since{}; /**< Incremental: what changed since the backup of this name; empty: a full one. */
    bool overwrite = false;
};

/** An open database. Its destructor closes it; use close() to be told of failures. */
class database {
  public:
    explicit database(std::string_view path, const options &options = {}) {
        nyro_error e;
        nyro_db opened;
        detail::check(nyro_open(path.data() ? path.data() : "", path.size(), &options, &opened, &e), e);
        handle_ = decltype(handle_)(opened);
    }

    /** Closes it; see nyro_close. */
    void close() {
        nyro_error e;
        const std::uint32_t code = nyro_close(handle_.get(), &e);
        if (code != NYRO_NESTED_TRANSACTION) {
            handle_.take();
        }
        detail::check(code, e);
    }

    nyro::collection collection(std::string_view name) const { return nyro::collection(handle_.get(), name); }
    nyro::collection operator[](std::string_view name) const { return collection(name); }
    nyro::keyspace keyspace(std::string_view name) const { return nyro::keyspace(handle_.get(), name); }

    nyro::transaction begin() {
        nyro_error e;
        nyro_transaction begun;
        detail::check(nyro_begin(handle_.get(), &begun, &e), e);
        return nyro::transaction(begun);
    }

    /** Runs `body` as one transaction: committed when it returns, rolled back when it throws. */
    template <class Body> auto write(Body &&body) {
        nyro::transaction tx = begin();
        if constexpr (std::is_void_v<std::invoke_result_t<Body, nyro::transaction &>>) {
            std::forward<Body>(body)(tx);
            tx.commit();
        } else {
            auto result = std::forward<Body>(body)(tx);
            tx.commit();
            return result;
        }
    }

    nyro::snapshot snapshot() const {
        nyro_error e;
        nyro_snapshot taken;
        detail::check(nyro_snapshot_take(handle_.get(), &taken, &e), e);
        return nyro::snapshot(taken);
    }

    void sync() {
        nyro_error e;
        detail::check(nyro_sync(handle_.get(), &e), e);
    }
    void checkpoint() {
        nyro_error e;
        detail::check(nyro_checkpoint(handle_.get(), &e), e);
    }

    void create_collection(std::string_view name) { detail::create_collection(handle_.get(), name); }
    void rename_collection(std::string_view from, std::string_view to) { detail::rename_collection(handle_.get(), from, to); }
    bool drop_collection(std::string_view name) { return detail::drop_collection(handle_.get(), name); }
    void rename_keyspace(std::string_view from, std::string_view to) { detail::rename_keyspace(handle_.get(), from, to); }
    bool drop_keyspace(std::string_view name) { return detail::drop_keyspace(handle_.get(), name); }

    /** Names of the collections, sorted. */
    std::vector<std::string> collection_names() const { return detail::names(nyro_collection_names, handle_.get()); }

    /** Names of the keyspaces, sorted. */
    std::vector<std::string> keyspace_names() const { return detail::names(nyro_keyspace_names, handle_.get()); }

    /** Figures about the tree that holds all keyspaces, as JSON. */
    std::string keyspace_stats_json() const {
        return text([&](std::uint8_t **out, std::size_t *size, nyro_error *e) {
            return nyro_keyspace_stats(handle_.get(), NYRO_FORMAT_JSON, out, size, e);
        });
    }

    /** Figures about the database, as JSON. */
    std::string stats_json() const {
        return text([&](std::uint8_t **out, std::size_t *size, nyro_error *e) {
            return nyro_stats(handle_.get(), NYRO_FORMAT_JSON, out, size, e);
        });
    }
    /** The named backups that it remembers, as JSON. */
    std::string backups_json() const {
        return text([&](std::uint8_t **out, std::size_t *size, nyro_error *e) {
            return nyro_backups(handle_.get(), NYRO_FORMAT_JSON, out, size, e);
        });
    }

    /** Writes a backup to a new file; gives its report as JSON. */
    std::string backup(std::string_view path, const backup_options &options = {}, const control &control = {}) {
        nyro_backup_options raw{};
        raw.struct_bytes = sizeof raw;
        raw.overwrite = options.overwrite ? 1 : 0;
        raw.name = options.name.empty() ? nullptr : options.name.data();
        raw.name_bytes = options.name.size();
        raw.since = options.since.empty() ? nullptr : options.since.data();
        raw.since_bytes = options.since.size();
        return report(control, [&](const nyro_control *c, std::uint8_t **out, std::size_t *size, nyro_error *e) {
            return nyro_backup(handle_.get(), path.data(), path.size(), &raw, c, NYRO_FORMAT_JSON, out, size, e);
        });
    }
    /** Checks the whole database; gives its report as JSON. Error: Corrupt. */
    std::string verify(const control &control = {}) {
        return report(control, [&](const nyro_control *c, std::uint8_t **out, std::size_t *size, nyro_error *e) {
            return nyro_verify(handle_.get(), c, NYRO_FORMAT_JSON, out, size, e);
        });
    }
    /** Makes the file as small as its documents allow; gives its report as JSON. */
    std::string compact(const control &control = {}) {
        return report(control, [&](const nyro_control *c, std::uint8_t **out, std::size_t *size, nyro_error *e) {
            return nyro_compact(handle_.get(), c, NYRO_FORMAT_JSON, out, size, e);
        });
    }
    /** Brings the file into memory, up to a limit in bytes; gives its report as JSON. */
    std::string warm_up(std::uint64_t limit_bytes, const control &control = {}) {
        return report(control, [&](const nyro_control *c, std::uint8_t **out, std::size_t *size, nyro_error *e) {
            return nyro_warm_up(handle_.get(), limit_bytes, c, NYRO_FORMAT_JSON, out, size, e);
        });
    }

    nyro_db raw() const noexcept { return handle_.get(); }

    /** Runs a call that fills a report; used by restore and repair, too. */
    template <class Call> static std::string report(const control &control, Call call) {
        detail::watch watch(control);
        nyro_error e;
        std::uint8_t *data;
        std::size_t size;
        const std::uint32_t code = call(watch.raw(), &data, &size, &e);
        const buffer bytes(data, size);
        watch.check(code, e);
        return std::string(bytes.text());
    }

  private:
    template <class Call> static buffer take(Call call) {
        nyro_error e;
        std::uint8_t *data;
        std::size_t size;
        detail::check(call(&data, &size, &e), e);
        return buffer(data, size);
    }
    template <class Call> static std::string text(Call call) { return std::string(take(call).text()); }

    detail::handle<nyro_db_release> handle_;
};

/** Makes a database file at `target` from a full backup and the incremental ones after it. */
inline std::string restore(std::string_view target, const std::vector<std::string> &backups, bool overwrite = false,
                           const control &control = {}) {
    std::vector<nyro_text> paths;
    for (const std::string &path : backups) {
        paths.push_back({path.data(), path.size()});
    }
    return database::report(control, [&](const nyro_control *c, std::uint8_t **out, std::size_t *size, nyro_error *e) {
        return nyro_restore(target.data(), target.size(), paths.data(), paths.size(), overwrite ? 1 : 0, c, NYRO_FORMAT_JSON, out, size, e);
    });
}

/** Saves what can still be read of a damaged file into a new one. */
inline std::string repair(std::string_view damaged, std::string_view target, bool overwrite = false,
                          const control &control = {}) {
    return database::report(control, [&](const nyro_control *c, std::uint8_t **out, std::size_t *size, nyro_error *e) {
        return nyro_repair(damaged.data(), damaged.size(), target.data(), target.size(), overwrite ? 1 : 0, c, NYRO_FORMAT_JSON, out, size, e);
    });
}

/** The _id of a document, such as one that a scan gave. Error: InvalidId if it has none. */
inline owned_id id_of(bytes_view document) {
    nyro_error e;
    detail::id_slot id;
    detail::check(nyro_document_id(document.data(), document.size(), id.out(), &e), e);
    return id.take();
}

/** The JSON text of a MessagePack document. */
inline std::string to_json(bytes_view document) {
    nyro_error e;
    char *data;
    std::size_t size;
    detail::check(nyro_to_json(document.data(), document.size(), &data, &size, &e), e);
    return std::string(buffer(data, size).text());
}

/** The MessagePack bytes of a JSON document. */
inline buffer from_json(std::string_view json) {
    nyro_error e;
    std::uint8_t *data;
    std::size_t size;
    detail::check(nyro_from_json(json.data(), json.size(), &data, &size, &e), e);
    return buffer(data, size);
}

} // namespace nyro

#endif /* NYRO_HPP */
