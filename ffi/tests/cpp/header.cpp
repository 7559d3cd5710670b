// nyro.hpp: every call of it, right and wrong.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <thread>

#include <unistd.h>

#include "nyro.hpp"

static void require(bool ok, const char *what, int line) {
    if (!ok) {
        std::cerr << "line " << line << ": " << what << "\n";
        std::exit(1);
    }
}
#define REQUIRE(condition) require(condition, #condition, __LINE__)

template <class Call> static std::uint32_t code_of(Call call) {
    try {
        call();
        return 0;
    } catch (const nyro::error &e) {
        return e.code();
    }
}

static std::string folder() {
    char name[] = "/tmp/nyro-hpp-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    return name;
}

static void ids_of_every_type_come_back(nyro::database &db) {
    auto c = db["ids"];
    REQUIRE(std::get<std::int64_t>(c.put_json(R"({"_id": -5})")) == -5);
    REQUIRE(std::get<std::uint64_t>(c.put_json(R"({"_id": 18446744073709551615})")) == UINT64_MAX);
    REQUIRE(std::get<std::string>(c.put_json(R"({"_id": "ada"})")) == "ada");
    REQUIRE(std::get<std::string>(c.put_json(R"({"_id": ""})")).empty());
    const std::vector<std::uint8_t> bytes{0, 255};
    REQUIRE(std::get<3>(c.put_json(R"({"_id": {"$binary": {"base64": "AP8=", "subType": "00"}}})")) == bytes);
    REQUIRE(c.contains(-5) && c.contains(UINT64_MAX) && c.contains("ada") && c.contains("") && c.contains(nyro::bytes_view(bytes)));
    auto given = db["given"];
    REQUIRE(given.contains(given.put_json("{}")) && given.contains(given.put_json(R"({"_id": "given back"})")) && c.contains(bytes));
    REQUIRE(c.contains(std::string("ada")) && c.contains(nyro::id::json("-5")) && !c.contains(5u) && !c.contains("AP8="));
    const std::uint8_t msgpack[] = {0xfb};
    REQUIRE(c.contains(nyro::id::msgpack({msgpack, 1})));
    REQUIRE(code_of([&] { c.contains(std::string(1025, 'x')); }) == NYRO_INVALID_ID);
    REQUIRE(code_of([&] { c.contains(nyro::id::json("1.5")); }) == NYRO_INVALID_ID);
}

static void documents_are_written_read_and_scanned(nyro::database &db) {
    auto c = db["docs"];
    std::vector<std::vector<std::uint8_t>> documents;
    for (int i = 0; i < 100; i++) {
        documents.push_back(nyro::bytes_view(nyro::from_json("{\"_id\":" + std::to_string(i) + ",\"t\":\"" + std::string(i * 7, 'x') + "\"}")).to_vector());
    }
    REQUIRE(c.insert_many(documents) == 100);
    REQUIRE(c.count_documents() == 100);
    REQUIRE(nyro::bytes_view(*c.get(7)) == nyro::bytes_view(documents[7]));
    std::vector<std::uint8_t> into;
    REQUIRE(c.get_into(99, into) && into == documents[99]);
    REQUIRE(c.get_into(3, into) && into == documents[3]);
    REQUIRE(!c.get_into(100, into) && into.empty());
    const auto many = c.get_many({99, 100, 0});
    REQUIRE(many.size() == 3 && many[0] == documents[99] && !many[1] && many[2] == documents[0]);

    auto scan = c.scan();
    std::size_t seen = 0;
    for (nyro::bytes_view document : scan) {
        REQUIRE(document == nyro::bytes_view(documents[seen]));
        if (++seen == 40) {
            break;
        }
    }
    auto rest = c.scan(scan.token());
    REQUIRE(std::distance(rest.begin(), rest.end()) == 60);

    try {
        c.insert_many(std::vector<nyro::bytes_view>{documents[0], nyro::bytes_view("\xc1", 1)}, {false, false});
        REQUIRE(false);
    } catch (const nyro::bulk_write_error &e) {
        REQUIRE(e.inserted() == 0 && e.failures().size() == 2);
        REQUIRE(e.failures()[0].place == 0 && e.failures()[0].code == NYRO_DUPLICATE_ID && !e.failures()[0].message.empty());
        REQUIRE(e.failures()[1].place == 1 && e.failures()[1].code == NYRO_MALFORMED_DOCUMENT);
    }
    std::vector<nyro::owned_id> to_remove;
    for (nyro::bytes_view document : c.scan()) {
        to_remove.push_back(nyro::id_of(document));
    }
    REQUIRE(to_remove.size() == 100 && c.contains(to_remove.back()) && std::get<std::int64_t>(to_remove.back()) == 99);
    REQUIRE(code_of([] { nyro::id_of(nyro::from_json("{}")); }) == NYRO_INVALID_ID);
    REQUIRE(c.replace_one(5, nyro::from_json(R"({"new": true})")) && *c.get_json(5) == R"({"_id":5,"new":true})");
    REQUIRE(!c.replace_one(500, nyro::from_json("{}")));
    REQUIRE(c.remove(5) && !c.remove(5));
    REQUIRE(code_of([&] { c.insert_one_json(R"({"_id": 6})"); }) == NYRO_DUPLICATE_ID);
    try {
        c.insert_one_json(R"({"_id": 6})");
    } catch (const nyro::error &e) {
        REQUIRE(std::string_view(e.name()) == "DuplicateId");
    }
}

static void transactions_commit_on_return_and_roll_back_on_an_exception(nyro::database &db) {
    auto c = db["tx"];
    const auto id = db.write([](nyro::transaction &tx) {
        auto c = tx["tx"];
        const auto id = std::get<std::int64_t>(c.insert_one_json("{}"));
        REQUIRE(c.contains(id));
        return id;
    });
    REQUIRE(c.contains(id));
    REQUIRE(code_of([&] {
        db.write([&](nyro::transaction &tx) {
            tx["tx"].remove(id);
            tx.create_collection("made");
            db.write([](nyro::transaction &) {});
        });
    }) == NYRO_NESTED_TRANSACTION);
    REQUIRE(c.contains(id));
    auto tx = db.begin();
    tx["tx"].remove(id);
    nyro::transaction moved = std::move(tx);
    std::uint32_t elsewhere = 0;
    std::thread([&] { elsewhere = code_of([&] { moved.commit(); }); }).join();
    REQUIRE(elsewhere == NYRO_WRONG_THREAD);
    REQUIRE(moved.commit() > 0 && !c.contains(id));
    REQUIRE(code_of([&] { moved.commit(); }) == NYRO_CLOSED);
    { auto forgotten = db.begin(); }
    db.begin().rollback();
    db.create_collection("a");
    db.rename_collection("a", "b");
    REQUIRE(code_of([&] { db.rename_collection("a", "c"); }) == NYRO_COLLECTION_NOT_FOUND);
    REQUIRE(db.drop_collection("b") && !db.drop_collection("b"));
    const std::vector<std::string> names{"docs", "given", "ids", "tx"};
    REQUIRE(db.collection_names() == names);
}

static void a_database_may_go_before_its_transaction(const std::string &dir) {
    const std::string path = dir + "/order.nyro";
    {
        std::optional<nyro::transaction> tx;
        nyro::database db(path);
        tx.emplace(db.begin());
        (*tx)["c"].put_json(R"({"_id": 1})");
        { nyro::database gone = std::move(db); }
        tx->commit();
    }
    nyro::options options;
    options.writer_timeout_ms = 1;
    REQUIRE(nyro::database(path, options)["c"].contains(1)); // with other options: it was closed
}

static std::string text(nyro::bytes_view bytes) { return std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size()); }

static std::string all_of(nyro::key_range range) {
    std::string all;
    for (nyro::entry e : range) {
        all += text(e.key) + "=" + text(e.value) + " ";
    }
    return all;
}

static void keyspaces_are_ordered_maps(nyro::database &db) {
    auto k = db.keyspace("k");
    REQUIRE(!k.get("a") && !k.first() && all_of(k.range()).empty());
    k.put("b", std::string("2"));
    k.put(std::vector<std::uint8_t>{'a'}, "1");
    k.put("", "");
    k.put("c", "3");
    REQUIRE(text(k.get("b").value()) == "2" && k.get("")->size() == 0 && k.contains("c") && !k.contains("d"));
    REQUIRE(all_of(k.range()) == "= a=1 b=2 c=3 " && all_of(k.range({}, true)) == "c=3 b=2 a=1 = ");
    REQUIRE(all_of(k.range(nyro::keys().above("a").at_most("c"))) == "b=2 c=3 ");
    REQUIRE(all_of(k.range(nyro::keys().at_least("a").below("c"), true)) == "b=2 a=1 ");
    REQUIRE(all_of(k.prefix("b")) == "b=2 " && all_of(k.prefix("")) == "= a=1 b=2 c=3 ");
    REQUIRE(code_of([&] { k.range(nyro::keys().above("b").below("a")); }) == NYRO_INVALID_ARGUMENT);
    REQUIRE(text(k.first()->key).empty() && text(k.last()->value) == "3" && k.estimated_count() == 4);

    auto range = k.range();
    range.seek("b");
    REQUIRE(text(range.next()->key) == "b");
    range.seek("x");
    REQUIRE(!range.next());
    range.seek("a");
    auto at = range.begin();
    auto before = at++;
    REQUIRE(text((*before).key) == "a" && text(at->key) == "b");

    k.write(nyro::batch().put("d", "4").remove("a").put("", "empty").remove(""));
    k.write({});
    REQUIRE(all_of(k.range()) == "b=2 c=3 d=4 ");
    REQUIRE(code_of([&] { k.write(nyro::batch().put("e", "5").put(std::string(65536, 'x'), "")); }) == NYRO_KEY_TOO_LARGE);
    k.remove("d");
    k.remove("d");
    const auto snapshot = db.snapshot();
    k.remove_range(nyro::keys::with_prefix("b"));
    REQUIRE(all_of(k.range()) == "c=3 " && all_of(snapshot.keyspace("k").range()) == "b=2 c=3 ");
    REQUIRE(code_of([&] { snapshot.keyspace("k").put("a", ""); }) == NYRO_READ_ONLY);
    REQUIRE(code_of([&] {
        db.write([&](nyro::transaction &tx) {
            auto own = tx.keyspace("k");
            own.put("e", "5");
            REQUIRE(all_of(own.range()) == "c=3 e=5 " && !k.contains("e"));
            tx.rename_keyspace("k", "l");
            REQUIRE(tx.drop_keyspace("l") && !tx.keyspace("k").contains("e"));
            throw nyro::error(1, "given up");
        });
    }) == 1);
    REQUIRE(all_of(k.range()) == "c=3 ");
    k.clear();
    REQUIRE(!k.first() && db.keyspace_names() == std::vector<std::string>{"k"} && snapshot.keyspace_names().size() == 1);
    REQUIRE(db.keyspace_stats_json().find("levels") != std::string::npos);
    REQUIRE(code_of([&] { db.keyspace("docs").put("a", ""); }) == NYRO_OTHER_KIND);
    db.rename_keyspace("k", "l");
    REQUIRE(db.drop_keyspace("l") && !db.drop_keyspace("l") && db.keyspace_names().empty());
    REQUIRE(code_of([&] { db.keyspace("").get("a"); }) == NYRO_INVALID_NAME);
}

static void snapshots_outlive_changes_and_each_other(nyro::database &db) {
    auto c = db["snap"];
    const auto document = nyro::from_json(R"({"_id": 1, "v": 1})");
    c.put(document);
    std::optional<nyro::snapshot_collection> kept;
    {
        const auto snapshot = db.snapshot();
        REQUIRE(snapshot.commit() > 0);
        kept = snapshot["snap"];
    }
    c.remove(1);
    REQUIRE(kept->borrow(1) == nyro::bytes_view(document) && !kept->borrow(2) && kept->count_documents() == 1);
    REQUIRE(code_of([&] { kept->remove(1); }) == NYRO_READ_ONLY);
}

static void what_a_callback_throws_comes_out_of_the_call(nyro::database &db) {
    nyro::control control;
    control.on_progress = [](const nyro::progress &) -> bool { throw std::runtime_error("from the callback"); };
    bool thrown = false;
    try {
        db.verify(control);
    } catch (const std::runtime_error &e) {
        thrown = std::string_view(e.what()) == "from the callback";
    }
    REQUIRE(thrown);
    control.on_progress = [](const nyro::progress &p) { return p.phase.empty(); };
    REQUIRE(code_of([&] { db.verify(control); }) == NYRO_CANCELLED);
    std::uint64_t told = 0;
    control.on_progress = [&](const nyro::progress &) {
        told++;
        db["docs"].contains(1);
        return true;
    };
    REQUIRE(db.verify(control).find("\"documents\"") != std::string::npos && told > 0);
    nyro::cancel_token token;
    token.cancel();
    control = {};
    control.cancel = &token;
    REQUIRE(code_of([&] { db.compact(control); }) == NYRO_CANCELLED);
}

static void backups_are_restored(nyro::database &db, const std::string &dir) {
    db.backup(dir + "/full.nyro", {"full", {}, false});
    db["backup"].put_json(R"({"_id": 1})");
    db.backup(dir + "/next.inc", {{}, "full", false});
    REQUIRE(code_of([&] { db.backup(dir + "/next.inc"); }) == NYRO_INVALID_ARGUMENT);
    REQUIRE(db.backups_json().find("\"full\"") != std::string::npos);
    nyro::restore(dir + "/copy.nyro", {dir + "/full.nyro", dir + "/next.inc"});
    REQUIRE(nyro::database(dir + "/copy.nyro")["backup"].contains(1));
    REQUIRE(code_of([&] { nyro::restore(dir + "/other.nyro", {dir + "/next.inc"}); }) != 0);
    REQUIRE(nyro::repair(dir + "/copy.nyro", dir + "/repaired.nyro").find("\"is_complete\":true") != std::string::npos);
    db.sync();
    db.checkpoint();
    db.warm_up(1 << 20);
    REQUIRE(db.compact().find("\"bytes_after\"") != std::string::npos);
    REQUIRE(db.stats_json().find("\"commits\"") != std::string::npos);
}

// Closed by the end of the program, after the thread's own data is gone.
static std::optional<nyro::database> closed_at_exit;

int main(int argc, char **argv) {
    if (argc == 2) {
        closed_at_exit.emplace(argv[1]);
        (*closed_at_exit)["c"].put_json("{}");
        return 0;
    }
    REQUIRE(!nyro::version().empty());
    const std::string dir = folder();
    {
        nyro::options options;
        options.durability = NYRO_DURABILITY_MANUAL;
        nyro::database db(dir + "/test.nyro", options);
        ids_of_every_type_come_back(db);
        documents_are_written_read_and_scanned(db);
        transactions_commit_on_return_and_roll_back_on_an_exception(db);
        a_database_may_go_before_its_transaction(dir);
        snapshots_outlive_changes_and_each_other(db);
        keyspaces_are_ordered_maps(db);
        what_a_callback_throws_comes_out_of_the_call(db);
        backups_are_restored(db, dir);
        auto c = db["docs"];
        nyro::database moved = std::move(db);
        moved.close();
        REQUIRE(code_of([&] { c.get(1); }) == NYRO_CLOSED);
        REQUIRE(code_of([&] { moved.sync(); }) == NYRO_CLOSED);
    }
    REQUIRE(nyro::database(dir + "/test.nyro")["docs"].count_documents() == 99);
    REQUIRE(code_of([] { nyro::database nowhere{std::string_view()}; }) != 0);
    REQUIRE(std::system((std::string(argv[0]) + " " + dir + "/exit.nyro").c_str()) == 0);
    REQUIRE(access((dir + "/exit.nyro").c_str(), F_OK) == 0);
    REQUIRE(std::system(("ls " + dir + " | grep -q 'exit.nyro-wal'").c_str()) != 0); // closed: no log is left
    REQUIRE(std::system(("rm -r " + dir).c_str()) == 0);
    return 0;
}
