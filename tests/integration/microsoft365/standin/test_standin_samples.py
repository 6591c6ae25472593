"""The stand-in replays what the vendor prints to the byte, and takes the requests that it prints."""

from __future__ import annotations

import json

import pytest
from servers.microsoft365 import Tenant
from servers.microsoft365.people import User
from servers.microsoft365.samples import samples
from servers.microsoft365.server import Server
from standin_client import Client


@pytest.fixture
def amy(tenant: Tenant) -> User:
    return tenant.add_user("Amy Adams")


@pytest.fixture
def client(tenant: Tenant, server: Server, amy: User) -> Client:
    app = tenant.add_application("Data Platform", delegated="Chat.Create ChatMessage.Send Mail.Send User.Read")
    return Client(server, server.token(app, amy))


def test_every_answer_is_replayed_to_the_byte(server: Server, client: Client) -> None:
    answers = [sample for sample in samples().values() if sample.status]
    assert len(answers) > 25
    for number, sample in enumerate(answers):
        server.faults.replay(sample.name, f"/sample/{number}$", retry_after="2.128")
        got = client.get(f"/sample/{number}")
        assert (got.status, got.content) == (sample.status, sample.content)
        assert client.get(f"/sample/{number}").status == 400


def body(name: str) -> dict[str, object]:
    found = json.loads(samples()[name].content)
    assert isinstance(found, dict)
    return found


def test_requests_that_are_printed_are_taken(tenant: Tenant, server: Server, amy: User, client: Client) -> None:
    answers = client.post("/$batch", body("graph/batch_request.json")).json["responses"]
    assert {answer["id"]: answer["status"] for answer in answers} == {"1": 404, "2": 400, "3": 400, "4": 405}
    assert client.post("/me/sendMail", body("graph/sendmail_request.json")).status == 202
    [(sender, message)] = server.post.mails
    assert (sender, message["subject"]) == (amy, "Meet for lunch?")


def test_two_people_have_one_chat(tenant: Tenant, server: Server, amy: User, client: Client) -> None:
    bob = tenant.add_user("Bob Brown")
    text = samples()["graph/chat_oneonone_create_request.json"].content.decode()
    text = text.replace("8b081ef6-4792-4def-b2c9-c363a1bf41d5", amy.id)
    request = json.loads(text.replace("82af01c5-f7cc-4a2e-a728-3a5df21afd9d", bob.id))
    made = [client.post("/chats", request) for _ in range(2)]
    assert [chat.status for chat in made] == [201, 201]
    assert made[0].json["id"] == made[1].json["id"]
    target = f"/chats/{made[0].json['id']}/messages"
    assert client.post(target, {"body": {"content": "May I read it?"}}).json["from"]["user"]["id"] == amy.id
    app = tenant.add_application("Worker", application="Chat.Create")
    assert Client(server, server.token(app)).post(target, {"body": {"content": "x"}}).status == 403
