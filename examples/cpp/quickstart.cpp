// The first ten minutes with NyroDB from C++17.
//
//   c++ -std=c++17 -Iinclude examples/cpp/quickstart.cpp -Ltarget/release -lnyro -o quickstart
#include <cstdlib>
#include <iostream>

#include "nyro.hpp"

// Ends the program if something is not as this example says.
static void expect(bool condition, const char *what) {
    if (!condition) {
        std::cerr << "not as expected: " << what << "\n";
        std::exit(1);
    }
}

int main() {
    nyro::database db(":memory:"); // or a path: "app.nyro"
    auto users = db["users"];

    // Documents are JSON or MessagePack, as you like.
    users.put_json(R"({"_id": 1, "name": "Ada", "born": 1815})");
    const auto grace = nyro::from_json(R"({"_id": "grace", "name": "Grace"})");
    users.put(grace);
    std::cout << users.get_json(1).value() << "\n" << users.get_json("grace").value() << "\n";
    expect(!users.get(2), "nobody has this id");

    // A transaction: all of it, or none of it.
    db.write([](nyro::transaction &tx) {
        auto users = tx["users"];
        users.put_json(R"({"name": "Alan"})");
        users.remove(1);
    });
    try {
        db.write([](nyro::transaction &tx) {
            tx["users"].remove("grace");
            throw std::runtime_error("changed my mind");
        });
    } catch (const std::runtime_error &) {
    }
    expect(users.count_documents() == 2, "Alan came, Ada went, Grace stayed");

    // A snapshot is the database as of one moment; documents are read from it without a copy.
    const auto snapshot = db.snapshot();
    users.remove("grace");
    expect(snapshot["users"].borrow("grace") == nyro::bytes_view(grace), "the same bytes");

    // All documents, one after the other.
    for (nyro::bytes_view user : users.scan()) {
        std::cout << nyro::to_json(user) << "\n";
    }

    // What is wrong is an exception, with a stable number and a message.
    try {
        users.insert_one_json(R"({"_id": 2})");
        users.insert_one_json(R"({"_id": 2})");
        expect(false, "an id can't be taken twice");
    } catch (const nyro::error &e) {
        std::cout << e.name() << " (" << e.code() << "): " << e.what() << "\n";
    }
}
