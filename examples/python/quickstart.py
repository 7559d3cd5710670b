"""A first program with NyroDB: documents, a transaction, a snapshot, a backup."""

import tempfile
from datetime import datetime, timezone
from pathlib import Path

import nyrodb

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "app.nyro"
    with nyrodb.open(path) as db:
        users = db["users"]
        ada = users.insert_one({"name": "Ada", "born": datetime(1815, 12, 10, tzinfo=timezone.utc)}).inserted_id
        users.insert_many([{"name": "Grace", "tags": ["navy", "cobol"]}, {"name": "Edsger"}])
        print("got", users.get(ada))

        try:
            users.insert_one({"_id": ada})
        except nyrodb.DuplicateIdError as error:
            print("refused:", error)

        with db.snapshot() as before:
            # Both changes or neither.
            with db.transaction() as tx:
                tx["accounts"].put({"_id": "a", "balance": 70})
                tx["accounts"].put({"_id": "b", "balance": 30})
            print("accounts before:", before["accounts"].count_documents(), "now:", db["accounts"].count_documents())

        print("all:", [user["name"] for user in users])
        db.backup(Path(folder) / "backup.nyro", progress=lambda step: None)

    with nyrodb.open(Path(folder) / "backup.nyro", read_only=True) as copy:
        print("in the backup:", copy["users"].count_documents(), "users")
