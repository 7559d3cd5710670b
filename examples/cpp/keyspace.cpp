// Values by key, in the order of the keys: keyspaces from C++17.
//
//   c++ -std=c++17 -Iinclude examples/cpp/keyspace.cpp -Ltarget/release -lnyro -o keyspace
#include <cstdlib>
#include <iostream>
#include <string>

#include "nyro.hpp"

// Ends the program if something is not as this example says.
static void expect(bool condition, const char *what) {
    if (!condition) {
        std::cerr << "not as expected: " << what << "\n";
        std::exit(1);
    }
}

static std::string text(nyro::bytes_view bytes) {
    return std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

// Prints keys with their values, and says how many there are.
static int print(nyro::key_range range) {
    int count = 0;
    for (nyro::entry entry : range) {
        std::cout << "  " << text(entry.key) << "  " << text(entry.value) << "\n";
        count++;
    }
    return count;
}

int main() {
    nyro::database db(":memory:"); // or a path: "app.nyro"
    auto readings = db.keyspace("readings");

    // Keys are bytes, and lie in the order of their bytes: what belongs together begins alike.
    readings.put("attic/2026-11-29", "17.5");
    readings.write(nyro::batch().put("cellar/2026-11-30", "11.0").put("attic/2026-11-30", "16.0"));
    expect(text(readings.get("attic/2026-11-30").value()) == "16.0", "the value of the key");

    // All of the attic, the newest first; the days from the 30th on.
    std::cout << "attic\n";
    expect(print(readings.prefix("attic/", true)) == 2, "two days in the attic");
    std::cout << "attic, from the 30th on\n";
    expect(print(readings.range(nyro::keys().at_least("attic/2026-11-30").below("attic0"))) == 1, "one from the 30th on");

    // In a transaction, together with documents if you like: all of it, or none of it.
    const auto before = db.snapshot();
    db.write([](nyro::transaction &tx) {
        auto readings = tx.keyspace("readings");
        readings.remove_range(nyro::keys::with_prefix("attic/"));
        readings.put("roof/2026-11-30", "3.5");
    });
    std::cout << "after the attic was cleared\n";
    expect(print(readings.range()) == 2, "cellar and roof are left");
    expect(text(before.keyspace("readings").first()->key) == "attic/2026-11-29", "the snapshot still has the attic");
}
