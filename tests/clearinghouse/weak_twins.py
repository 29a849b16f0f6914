"""One weak twin at least for every statement, and one for each half of a statement that has two."""

from __future__ import annotations

import base64
import json

from .forgetful import (
    FilesAreFlaws,
    ForgedLeases,
    KnownBlobs,
    OldHead,
    OneLease,
    RedForAll,
    SharedKeys,
    SpentKeys,
    Talkative,
    one_flaw_for,
    spaces,
)
from .twins_kit import TAKEN, Twin, answers, hides, put, takes, tells, without
from .weaknesses import (
    EMPTY,
    Bridged,
    all_match,
    always_201,
    always_first,
    another_flaw,
    confided,
    embargoed_again,
    ended,
    event,
    every_opinion,
    first_wrong_is,
    head_of_a_bundle,
    in_lower_case,
    longer_path,
    lost_merge,
    marked,
    no_etag,
    no_not_modified,
    no_retry,
    nonces,
    none_matches,
    not_found_is,
    one,
    one_fence,
    overlaps,
    path,
    plain_errors,
    repeats,
    rewritten,
    shorter,
    stale,
    tests_failed,
    with_a_body,
    worst,
)

TWINS: dict[str, Twin] = {
    "2.1": Twin(tells("/v1", put("payload_type", value="application/json"))),
    "2.1 limits": Twin(tells("/v1", put("limits", value={})), also=frozenset(("2.6",))),
    "2.2": Twin(no_not_modified),
    "2.2 a list": Twin(no_etag),
    "2.3": Twin(lambda p: p.telling(EMPTY, 200) if p.code == "bad-request" and p.path == "/v1/flaws" else p, also=frozenset(("10.3",))),
    "2.4": Twin(repeats),
    "2.5": Twin(takes("bad-request", when=lambda p: "colour" in p.asked)),
    "2.5 U+0000": Twin(takes("bad-request", when=lambda p: "\0" in str(p.asked.get("contact", "")))),
    "2.6": Twin(takes("too-large")),
    "2.7": Twin(way=hides("Content-Encoding")),
    "2.8": Twin(way=hides("Origin")),
    "2.9": Twin(way=hides("Host")),
    "2.10": Twin(tells("/v1/ledger/entries", always_first, lambda p: p.query.rpartition("&")[2] == "limit=2")),
    "2.11": Twin(with_a_body),
    "2.11 a bundle": Twin(head_of_a_bundle),
    "2.12": Twin(takes("bad-request", when=lambda p: p.asked.get("ttl_seconds") == "60")),
    "2.12 true": Twin(takes("bad-request", when=lambda p: p.asked.get("withdraw") == 1)),
    "2.13": Twin(
        takes("bad-request", when=lambda p: p.sent and b"conform-other" in base64.b64decode(json.loads(p.sent).get("payload", "")))
    ),
    "2.14": Twin(takes("bad-request", when=lambda p: "colour" in p.request)),
    "2.14 around it": Twin(lambda p: p.telling({"code": "bad-envelope"}, 400) if b'"colour"' in p.sent and p.done else p),
    "2.14 the query": Twin(lambda p: p.telling({"code": "bad-request"}, 400) if "colour" in p.query else p),
    "2.15": Twin(lambda p: p.telling(EMPTY, 200) if p.code == "bad-request" and "cursor=" in p.query else p),
    "3.1": Twin(lambda p: p.telling(EMPTY, 200) if p.code == "unauthorised" and p.path == "/v1/flaws" else p),
    "3.1 by id": Twin(lambda p: p.telling({"code": "not-found"}, 404) if p.code == "unauthorised" and p.path == "/v1/fixes/fix-1" else p),
    "3.2": Twin(
        lambda p: p.telling({"organisation": {}}, 200) if p.code == "unauthorised" and "Authorization" in p.headers and p.verb == "" else p
    ),
    "3.3": Twin(takes("forbidden", "/v1/lease")),
    "3.3 epoch": Twin(lambda p: p.telling({"epoch": 1}, 200) if p.code == "forbidden" and p.path == "/v1/epoch" else p),
    "4.1": Twin(answers("lease", without("state"))),
    "4.2": Twin(always_201),
    "4.3": Twin(answers("lease", put("duplicate", value=False), lambda p: p.status == 200)),
    "4.4": Twin(takes("idempotency-key-reused", "/v1/lease")),
    "4.5": Twin(SharedKeys),
    "4.6": Twin(takes("unknown-key", when=lambda p: p.keyid not in p.registered), also=frozenset(("4.18",))),
    "4.7": Twin(takes("unknown-key", when=lambda p: p.keyid in p.registered)),
    "4.8": Twin(takes("bad-signature")),
    "4.9": Twin(takes("wrong-audience"), also=frozenset(("4.18",))),
    "4.10": Twin(takes("wrong-submitter"), also=frozenset(("4.18",))),
    "4.11": Twin(takes("clock-skew")),
    "4.12": Twin(takes("bad-request", "/v1/opt-out", lambda p: p.request.get("verb") == "lease")),
    "4.13": Twin(takes("bad-envelope")),
    "4.14": Twin(ForgedLeases),
    "4.14 the key": Twin(SpentKeys),
    "4.15": Twin(takes("bad-request", "/v1/lease", lambda p: p.request and "body" not in p.request)),
    "4.16": Twin(takes("bad-request", "/v1/submit-finding", lambda p: "embargo_until" in p.json["detail"])),
    "4.16 past": Twin(
        tells(
            "/v1/flaws/",
            lambda told, p: {**told, "embargoed": True} if told.get("tlp") == "amber" else told,
            lambda p: p.path.count("/") == 3,
        ),
        also=frozenset(("5.20", "5.31")),
    ),
    "4.17": Twin(takes("idempotency-key-reused", "/v1/submit-finding", lambda p: p.request["tlp"] == "green")),
    "4.17 embargo": Twin(takes("idempotency-key-reused", "/v1/submit-finding", lambda p: p.request["embargo_until"])),
    "4.17 written out": Twin(takes("idempotency-key-reused", "/v1/submit-finding", lambda p: "rule_id" in p.asked)),
    "4.18": Twin(first_wrong_is("wrong-audience", "unknown-key")),
    "4.18 clock": Twin(first_wrong_is("unknown-key", "clock-skew")),
    "4.19": Twin(tells("/v1/flaws/", worst)),
    "4.19 an entry": Twin(answers("submit-finding", put("duplicate", value=False), lambda p: p.status == 200)),
    "5.1": Twin(tells("/v1/leases", put("items", value=[]))),
    "5.2": Twin(lambda p: p.telling({**p.json, "retry_after_seconds": None}) if p.code == "lease-held" else p),
    "5.3": Twin(overlaps),
    "5.3 a folder": Twin(takes("lease-held", when=lambda p: p.asked.get("scope") == ["src/a/deep.py"])),
    "5.4": Twin(answers("lease", one_fence)),
    "5.5": Twin(stale("it was released")),
    "5.6": Twin(takes("lease-stale", "/v1/submit-finding")),
    "5.6 renew": Twin(stale("is another")),
    "5.7": Twin(stale("it expired")),
    "5.8": Twin(answers("renew", shorter)),
    "5.9": Twin(lambda p: takes("not-found")(p) if p.verb in ("renew", "release") else p),
    "5.10": Twin(takes("lease-held", when=lambda p: "git@" in p.asked.get("project", ""))),
    "5.11": Twin(
        takes("bad-request", "/v1/lease", lambda p: isinstance(p.asked.get("ttl_seconds"), int) and p.asked["ttl_seconds"] > 604_800)
    ),
    "5.12": Twin(takes("opted-out", "/v1/lease")),
    "5.13": Twin(answers("submit-finding", another_flaw, lambda p: p.flaw["snippet"].startswith("\n"))),
    "5.13 a file": Twin(FilesAreFlaws),
    "5.14": Twin(
        answers("submit-finding", another_flaw, lambda p: any(each.startswith("conform-alias") for each in p.flaw.get("aliases", ())))
    ),
    "5.15": Twin(tells("/v1/flaws/", tests_failed)),
    "5.16": Twin(takes("blob-missing")),
    "5.17": Twin(takes("state-conflict", "/v1/submit-fix")),
    "5.18": Twin(not_found_is({"fix": {}}, "/v1/fixes/", lambda p: p.path.endswith("/published"))),
    "5.18 the claim": Twin(
        tells("/v1/fixes/", lambda told, p: {**told, "level": told["claimed_level"]} if told.get("level", 1) is None else told, one)
    ),
    "5.19": Twin(takes("not-found", "/v1/revoke")),
    "5.20": Twin(answers("lift", put("state", value="lifted")), also=frozenset(("5.31",))),
    "5.20 never": Twin(answers("lift", put("state", value="agreed")), also=frozenset(("5.31",))),
    "5.21": Twin(lost_merge),
    "5.21 two": Twin(answers("submit-finding", another_flaw, lambda p: p.asked["scanner"] == "conform-again")),
    "5.22": Twin(tells("/v1/flaws/", embargoed_again)),
    "5.22 a word": Twin(answers("submit-finding", lambda told, p: {**told, "detail": {"flaw": told["detail"]["flaw"]}})),
    "5.23": Twin(tells("/v1/flaws/", marked)),
    "5.23 the date": Twin(tells("/v1/flaws/", ended), also=frozenset(("5.20", "5.31"))),
    "5.24": Twin(OneLease),
    "5.25": Twin(takes("bad-request", "/v1/submit-finding", lambda p: "fencing" in p.asked and "lease_id" not in p.asked)),
    "5.26": Twin(takes("bad-request", "/v1/submit-finding", lambda p: ".." in p.flaw.get("path", ""))),
    "5.26 a link": Twin(takes("bad-request", "/v1/submit-finding", lambda p: p.flaw.get("references"))),
    "5.27": Twin(every_opinion),
    "5.28": Twin(takes("forbidden", "/v1/opt-out")),
    "5.28 the list": Twin(tells("/v1/opt-outs", put("items", value=[])), also=frozenset(("11.1",))),
    "5.29": Twin(takes("opted-out", "/v1/renew")),
    "5.29 a finding": Twin(
        lambda p: (
            p.telling({"code": "opted-out"}, 409) if p.verb == "submit-finding" and p.done and "conform-project" in p.flaw["project"] else p
        ),
        also=frozenset(("2.4",)),
    ),
    "5.30": Twin(takes("not-found", "/v1/supersede")),
    "5.30 another flaw": Twin(takes("state-conflict", "/v1/supersede", lambda p: "same flaw" in p.json["detail"])),
    "5.30 revoked": Twin(takes("state-conflict", "/v1/revoke")),
    "5.31": Twin(answers("lift", put("duplicate", value=False))),
    "5.32": Twin(takes("state-conflict", "/v1/receipt")),
    "5.33": Twin(takes("blob-mismatch", "/v1/submit-fix")),
    "5.34": Twin(Bridged),
    "6.1": Twin(answers("claim-check", all_match), also=frozenset(("6.4",))),
    "6.1 nothing": Twin(answers("claim-check", none_matches)),
    "6.2": Twin(answers("lease", in_lower_case)),
    "6.2 dots": Twin(takes("bad-request", "/v1/lease", lambda p: "/../" in p.asked.get("project", ""))),
    "6.3": Twin(answers("submit-finding", another_flaw, spaces("\u3000"))),
    "6.3 no width": Twin(one_flaw_for("\u200b")),
    "6.4": Twin(takes("bad-request", "/v1/claim-check", lambda p: len(p.asked["claims"]) > 100)),
    "6.4 an epoch": Twin(takes("state-conflict", "/v1/claim-check")),
    "7.1": Twin(tells("/v1/openapi.json", put("paths", value={})), also=frozenset(("7.12",))),
    "7.2": Twin(lambda p: p._replace(status=500) if p.path == "/readyz" else p),
    "7.3": Twin(
        lambda p: (
            p.telling({**p.json, "detail": "no such flaw"}) if p.code == "not-found" and p.path.startswith("/v1/flaws/flaw-000") else p
        )
    ),
    "7.4": Twin(
        lambda p: (
            p.telling({"items": [{"id": "flaw-1"}], "next": ""})
            if p.method == "GET" and p.path == "/v1/flaws" and p.status == 200 and not p.json["items"]
            else p
        )
    ),
    "7.5": Twin(Talkative),
    "7.6": Twin(RedForAll),
    "7.7": Twin(not_found_is(TAKEN, "/v1/status/conform-submission")),
    "7.8": Twin(tells("/v1/feed", put("next", value=7)), also=frozenset(("7.9",))),
    "7.8 again": Twin(
        tells(
            "/v1/feed",
            lambda told, p: {**told, "entries": [{**each, "cursor": 1} for each in told["entries"]]},
            lambda p: p.query[-7:] == "limit=1" and "cursor=1&" in p.query,
        )
    ),
    "7.9": Twin(event),
    "7.9 silence": Twin(lambda p: p._replace(status=500) if p.path.endswith("/stream") and p.body.startswith(b":") else p),
    "7.10": Twin(
        lambda p: (
            p.telling({"code": "not-found"}, 404)
            if p.path.startswith("/v1/flaws/")
            and p.done
            and p.json.get("tlp") == "clear"
            and not p.json["embargoed"]
            and not p.json["witnesses"]
            else p
        )
    ),
    "7.10 the list": Twin(tells("/v1/flaws", lambda told, p: {**told, "items": [each for each in told["items"] if each["witnesses"]]})),
    "7.11": Twin(tells("/v1/fixes", lambda told, p: {**told, "items": told["items"] or [{"id": "fix-1"}]}, lambda p: "state=" in p.query)),
    "7.11 to others": Twin(
        tells("/v1/fixes", lambda told, p: {**told, "items": told["items"] or [{"id": "fix-1"}]}, lambda p: "state=" not in p.query)
    ),
    "7.12": Twin(lambda p: p.telling({"code": "not-found"}, 404) if p.path == "/v1/schemas/receipt-body.json" else p),
    "7.13": Twin(no_retry),
    "7.14": Twin(lambda p: p._replace(body=p.body + b"\n+import os\n") if p.path.endswith("/patch") and p.done else p),
    "7.14 a name": Twin(tells("/v1/fixes/", put("fix", "organisation", value="org-1"), lambda p: p.path.endswith("/published"))),
    "7.14 the flaw": Twin(tells("/v1/fixes/", put("flaw", "title", value="another"), lambda p: p.path.endswith("/published"))),
    "7.14 CSAF": Twin(lambda p: p._replace(status=500) if p.path.endswith("/csaf") else p),
    "7.15": Twin(not_found_is(TAKEN, "/v1/status/finding-")),
    "7.15 open": Twin(tells("/v1/status/", lambda told, p: {**told, "state": "open"} if told["state"] == "embargoed" else told)),
    "7.16": Twin(tells("/v1/flaws/", confided)),
    "8.1": Twin(lambda p: p.telling(TAKEN, 201) if p.code == "blob-mismatch" and p.method == "PUT" else p),
    "8.2": Twin(KnownBlobs),
    "9.1": Twin(tells("/v1/ledger/head", put("signature", value=base64.b64encode(bytes(64)).decode()))),
    "9.2": Twin(tells("/v1/ledger/entries", rewritten, lambda p: "limit=200" in p.query), also=frozenset(("9.4",))),
    "9.3": Twin(tells("/v1/ledger/inclusion", path)),
    "9.4": Twin(tells("/v1/ledger/consistency", path, lambda p: "first=0&" not in p.query), also=frozenset(("9.6",))),
    "9.4 from 0": Twin(tells("/v1/ledger/consistency", longer_path, lambda p: "first=0&" in p.query)),
    "9.5": Twin(lambda p: p.telling({"path": []}, 200) if p.code == "bad-request" and p.path.startswith("/v1/ledger/") else p),
    "9.6": Twin(OldHead),
    "9.7": Twin(tells("/v1/fixes/", nonces, lambda p: p.path.endswith("/openings"))),
    "9.8": Twin(tells("/v1/flaws/", nonces, lambda p: p.path.endswith("/openings"))),
    "9.8 to others": Twin(not_found_is(EMPTY, "/v1/flaws/finding-")),
    "10.1": Twin(plain_errors),
    "10.2": Twin(lambda p: p._replace(status=307) if p.path == "/v1/flaws/" else p),
    "10.3": Twin(lambda p: p.telling({k: v for k, v in p.json.items() if k != "hint"}) if p.code == "not-found" else p),
    "11.1": Twin(tells("/v1/fixes/", lambda told, p: {k: v for k, v in told.items() if k != "fixed_version"}, one)),
    "11.1 an opt-out": Twin(
        tells("/v1/opt-outs", lambda told, p: {**told, "items": [{k: v for k, v in e.items() if k != "until"} for e in told["items"]]})
    ),
}
