"""The client in a real browser, with a WebSocket and a clock that obey the test."""

from pathlib import Path

import pytest
import pytest_asyncio

FAKE_SOCKET = Path(__file__).parent / "harness" / "fake_socket.js"
EMPTY_PAGE = "<!doctype html><title>bench</title>"
IMPORT = (
    "import('/static/jobs/client.js').then(({JobsClient}) => { window.JobsClient = JobsClient })"
)


@pytest_asyncio.fixture(loop_scope="session")
async def bench(page):
    """Return an empty page of the server's origin, with the client and a stopped clock."""
    await page.clock.install()
    await page.add_init_script(path=FAKE_SOCKET)
    await page.route(
        "**/bench/", lambda route: route.fulfill(body=EMPTY_PAGE, content_type="text/html")
    )
    await page.goto("/bench/")
    await page.evaluate(IMPORT)
    await page.evaluate("client = new JobsClient({WebSocket: FakeSocket})")
    return page


async def test_only_newer_versions_are_heard_and_the_end_once(bench):
    heard = await bench.evaluate("""() => {
        const heard = listen(client.subscribe({job: "a"}));
        FakeSocket.last.open(
            frame("started", 2), frame("progress", 1), frame("progress", 2), frame("progress", 3));
        FakeSocket.last.say(frame("ready", 4));
        FakeSocket.last.say(frame("ready", 4));
        return heard;
    }""")
    assert heard == ["started 2", "progress 3", "ready 4"]


async def test_a_replaced_job_is_followed_under_the_id_that_was_asked_for(bench):
    heard = await bench.evaluate("""() => {
        const heard = listen(client.subscribe({job: "draft"}));
        const others = listen(client.subscribe({job: "other"}));
        const named = (event, version) => ({...frame(event, version), for: [{job: "draft"}]});
        FakeSocket.last.open(named("started", 2), named("ready", 3));
        return [heard, others];
    }""")
    assert heard == [["started 2", "ready 3"], []]


async def test_such_a_job_is_heard_by_polling_too(bench):
    await bench.evaluate("""() => {
        client.fetch = async () =>
            new Response(JSON.stringify(frame("started", 1)), {status: 202});
        heard = listen(client.subscribe({job: "draft"}, {poll: "/jobs/draft/"}));
        FakeSocket.last.lose();
    }""")
    await bench.clock.run_for(500)
    await bench.evaluate("FakeSocket.last.lose()")
    await bench.wait_for_function("heard.length === 1")
    assert await bench.evaluate("heard") == ["started 1"]


async def test_page_that_shows_the_end_already_is_still_told_of_it_once(bench):
    heard = await bench.evaluate("""() => {
        const heard = listen(client.subscribe({job: "a"}, {version: 4}));
        FakeSocket.last.open(frame("progress", 4), frame("ready", 4), frame("ready", 4));
        return heard;
    }""")
    assert heard == ["ready 4"]


async def test_lost_connection_is_made_again_and_subscribed_again(bench):
    await bench.evaluate("""() => {
        heard = listen(client.subscribe({job: "a"}));
        client.subscribe({mine: true});
        FakeSocket.last.open(frame("started", 1));
        FakeSocket.last.lose();
    }""")
    assert await bench.evaluate("client.connected") == ""
    await bench.clock.run_for(500)
    await bench.evaluate("FakeSocket.last.open(frame('started', 1), frame('ready', 2))")
    assert await bench.evaluate("[client.connected, FakeSocket.all.length, heard]") == [
        "socket",
        2,
        ["started 1", "ready 2"],
    ]
    assert await bench.evaluate("FakeSocket.last.sent") == [
        {"action": "subscribe", "job": "a"},
        {"action": "subscribe", "mine": True},
    ]


async def test_delays_between_attempts_grow(bench):
    await bench.evaluate("""() => {
        FakeSocket.prototype.close = () => {};
        client.subscribe({job: "a"});
        losing = setInterval(() => FakeSocket.last.readyState === 0 && FakeSocket.last.lose(), 10);
    }""")
    await bench.clock.run_for(3_000)
    first = await bench.evaluate("FakeSocket.all.length")
    await bench.clock.run_for(27_000)
    second = await bench.evaluate("FakeSocket.all.length")
    assert 3 <= first <= 5
    assert 2 <= second - first <= 4


async def test_where_sockets_never_work_they_are_tried_seldom(bench):
    await bench.evaluate("""() => {
        client.fetch = async () =>
            new Response(JSON.stringify(frame("started", 1)), {status: 202});
        client.subscribe({job: "a"}, {poll: "/jobs/a/"});
        losing = setInterval(() => FakeSocket.last.readyState === 0 && FakeSocket.last.lose(), 10);
    }""")
    await bench.clock.run_for(60_000)
    tried = await bench.evaluate("FakeSocket.all.length")
    await bench.clock.run_for(60_000)
    assert (
        await bench.evaluate("[FakeSocket.all.length, client.connected]") == [tried, "polling"]
        and tried == 6
    )
    await bench.clock.run_for(240_000)
    assert await bench.evaluate("FakeSocket.all.length") == tried + 1


async def test_connection_that_was_heard_once_is_never_given_up(bench):
    await bench.evaluate("""() => {
        client.subscribe({job: "a"});
        FakeSocket.last.open(frame("started", 1));
        FakeSocket.last.lose();
        losing = setInterval(() => FakeSocket.last.readyState === 0 && FakeSocket.last.lose(), 10);
    }""")
    await bench.clock.run_for(120_000)
    before = await bench.evaluate("FakeSocket.all.length")
    await bench.clock.run_for(31_000)
    assert await bench.evaluate("FakeSocket.all.length") > before


async def test_client_without_an_address_polls_at_once_and_tries_no_socket(bench):
    heard = await bench.evaluate("""async () => {
        const client = new JobsClient({url: "", WebSocket: FakeSocket});
        client.fetch = async () =>
            new Response(JSON.stringify(frame("started", 1)), {status: 202});
        const {promise, resolve} = Promise.withResolvers();
        client.subscribe({job: "a"}, {poll: "/jobs/a/"}).addEventListener("started", resolve);
        await promise;
        client.stop();
        return [client.connected, FakeSocket.all.length];
    }""")
    assert heard == ["", 0]


async def test_module_that_is_loaded_twice_shares_one_socket(bench):
    assert await bench.evaluate("""async () => {
        const {JobsClient: Other} = await import("/static/jobs/bundle/client.js");
        return Other !== JobsClient && Other.shared() === JobsClient.shared();
    }""")


async def test_numbers_are_in_the_language_that_the_page_has_now(bench):
    assert await bench.evaluate("""async () => {
        const {inPercent} = await import("/static/jobs/elements/words.js");
        return ["en", "de", "en_US", ""].map(
            (lang) => ((document.documentElement.lang = lang), inPercent(25)));
    }""") == ["25%", "25\u00a0%", "25%", "25%"]  # the last two are no languages: the browser's own


async def test_half_open_connection_is_noticed_and_replaced(bench):
    await bench.evaluate(
        "client.subscribe({job: 'a'}); FakeSocket.last.open({event: 'subscribed'})"
    )
    await bench.clock.run_for(20_000)
    assert await bench.evaluate("FakeSocket.last.sent.at(-1)") == {"action": "ping"}
    await bench.clock.run_for(9_900)
    assert await bench.evaluate("FakeSocket.all.length") == 1
    await bench.clock.run_for(700)
    assert await bench.evaluate("FakeSocket.all.map((socket) => socket.readyState)") == [3, 0]


async def test_answered_pings_keep_the_connection(bench):
    await bench.evaluate("""() => {
        FakeSocket.prototype.send =
            function () { setTimeout(() => this.say({event: "pong"}), 100) };
        client.subscribe({job: "a"});
        FakeSocket.last.open({event: "subscribed"});
    }""")
    await bench.clock.run_for(120_000)
    assert await bench.evaluate("[FakeSocket.all.length, client.connected]") == [1, "socket"]


async def test_without_a_socket_the_page_is_polled_until_there_is_one(bench):
    await bench.evaluate("""() => {
        answers = [frame("started", 1), frame("progress", 2), frame("progress", 3)];
        const running = {status: 202, headers: {"Retry-After": "1"}};
        client.fetch = async () => new Response(JSON.stringify(answers.shift()), running);
        heard = listen(client.subscribe({job: "a"}, {poll: "/jobs/a/"}));
        FakeSocket.last.lose();
    }""")
    await bench.clock.run_for(500)
    assert await bench.evaluate("[heard, FakeSocket.all.length]") == [[], 2]
    await bench.evaluate("FakeSocket.last.lose()")
    await bench.wait_for_function("client.connected === 'polling' && heard.length === 1")
    await bench.clock.run_for(1_000)
    await bench.wait_for_function("heard.length === 2")
    await bench.evaluate("FakeSocket.last.open(frame('ready', 9))")
    await bench.clock.run_for(5_000)
    assert await bench.evaluate("[client.connected, answers.length, heard.at(-1)]") == [
        "socket",
        1,
        "ready 9",
    ]


async def test_refused_job_is_gone_and_not_asked_for_again(bench):
    assert (
        await bench.evaluate("""async () => {
        const subscription = client.subscribe({job: "a"});
        heard = listen(subscription);
        FakeSocket.last.open();
        FakeSocket.last.lose(4404);
        return subscription.ended.catch((error) => error.message);
    }""")
        == "not found: job:a"
    )
    await bench.clock.run_for(60_000)
    assert await bench.evaluate("[heard, FakeSocket.all.length]") == [["gone"], 1]


async def test_subscription_that_is_refused_leaves_the_others(bench):
    heard = await bench.evaluate("""() => {
        const heard = [listen(client.subscribe({job: "a"})), listen(client.subscribe({job: "b"}))];
        FakeSocket.last.open(
            {event: "error", code: "not_found", job: "a"}, frame("ready", 1, "complete", "b"));
        return heard;
    }""")
    assert heard == [["gone"], ["ready 1"]]


REFUSED = "{event: 'error', code: 'too_many', detail: '', job: 'a'}"
COUNT = "FakeSocket.last.sent.filter(({action}) => action === 'subscribe').length"


async def test_a_refused_subscription_is_repeated_after_the_wait_that_the_server_names(bench):
    await bench.evaluate(f"""() => {{
        heard = listen(client.subscribe({{job: "a"}}));
        client.subscribe({{job: "b"}});
        FakeSocket.last.open({{...{REFUSED}, retry_after: 3}});
    }}""")
    await bench.clock.run_for(3_000)
    assert await bench.evaluate(COUNT) == 2
    await bench.clock.run_for(1_000)
    assert await bench.evaluate("FakeSocket.last.sent.at(-1)") == {
        "action": "subscribe",
        "job": "a",
    }
    await bench.evaluate("FakeSocket.last.say({event: 'subscribed', job: 'a'})")
    await bench.evaluate("FakeSocket.last.say(frame('ready', 1))")
    await bench.clock.run_for(19_000)
    assert await bench.evaluate(f"[{COUNT}, heard]") == [3, ["ready 1"]]


async def test_without_a_named_wait_the_delays_between_subscriptions_grow(bench):
    await bench.evaluate(f"""() => {{
        FakeSocket.prototype.send = function (text) {{
            const frame = JSON.parse(text);
            this.sent.push(frame);
            const answer = frame.action === "ping" ? {{event: "pong"}} : {REFUSED};
            queueMicrotask(() => this.say(answer));
        }};
        client.subscribe({{job: "a"}});
        FakeSocket.last.open();
    }}""")
    await bench.clock.run_for(1_900)
    assert await bench.evaluate(COUNT) == 1
    await bench.clock.run_for(58_000)
    first = await bench.evaluate(COUNT)
    await bench.clock.run_for(60_000)
    assert 4 <= first <= 6
    assert 1 <= await bench.evaluate(COUNT) - first <= 2


@pytest.mark.parametrize("act", ["subscription.unsubscribe()", "client.stop()"])
async def test_a_subscription_that_nobody_wants_is_not_repeated(bench, act):
    await bench.evaluate(f"""() => {{
        client.subscribe({{job: "b"}});
        const subscription = client.subscribe({{job: "a"}});
        FakeSocket.last.open({REFUSED});
        {act};
    }}""")
    await bench.clock.run_for(19_000)
    assert await bench.evaluate(f"[{COUNT}, FakeSocket.all.length]") == [2, 1]


async def test_a_new_connection_repeats_a_refused_subscription_only_once(bench):
    await bench.evaluate(f"""() => {{
        client.subscribe({{job: "a"}});
        FakeSocket.last.open({REFUSED});
        FakeSocket.last.lose();
    }}""")
    await bench.clock.run_for(500)
    await bench.evaluate("FakeSocket.last.open({event: 'subscribed', job: 'a'})")
    await bench.clock.run_for(10_000)
    assert await bench.evaluate(f"[{COUNT}, FakeSocket.all.length]") == [1, 2]


async def test_what_a_newer_server_says_is_ignored(bench):
    heard = await bench.evaluate("""() => {
        const heard = listen(client.subscribe({job: "a"}));
        FakeSocket.last.open(
            null, [], {event: "ready"}, {event: "postponed", job: {id: "a", version: 1}});
        FakeSocket.last.onmessage({data: "not JSON"});
        FakeSocket.last.onmessage(
            {data: '{"__proto__": {"polluted": 1}, "event": "ready", "job": {"id": 5}}'});
        FakeSocket.last.say({...frame("ready", 2), mood: "new"});
        return [heard, "polluted" in {}];
    }""")
    assert heard == [["ready 2"], False]


async def test_second_listener_shares_the_subscription_and_hears_what_is_known(bench):
    assert await bench.evaluate("""async () => {
        client.subscribe({mine: true});
        FakeSocket.last.open(frame("ready", 3));
        const heard =
            [listen(client.subscribe({mine: true})), listen(client.subscribe({job: "a"}))];
        await null;
        return heard;
    }""") == [["ready 3"], ["ready 3"]]
    assert await bench.evaluate("FakeSocket.last.sent") == [
        {"action": "subscribe", "mine": True},
        {"action": "subscribe", "job": "a"},
    ]


async def test_last_listener_closes_the_socket(bench):
    await bench.evaluate("""() => {
        const abort = new AbortController();
        const first = client.subscribe({job: "a"}, {signal: abort.signal});
        client.subscribe({job: "b"}).unsubscribe();
        FakeSocket.last.open();
        first.unsubscribe();
        abort.abort();
    }""")
    await bench.clock.run_for(60_000)
    assert await bench.evaluate("FakeSocket.all.map((socket) => socket.readyState)") == [3]


async def test_renewed_ticket_is_shown_on_the_next_connection(bench):
    await bench.evaluate("""() => {
        client.subscribe({tag: "classroom:42", ticket: "old"});
        FakeSocket.last.open({event: "ticket", tag: "classroom:42", ticket: "new"});
        FakeSocket.last.lose();
    }""")
    await bench.clock.run_for(500)
    await bench.evaluate("FakeSocket.last.open()")
    sent = await bench.evaluate("FakeSocket.all.map((socket) => socket.sent[0].ticket)")
    assert sent == ["old", "new"]


async def test_who_has_left_hears_nothing_more(bench):
    heard = await bench.evaluate("""async () => {
        const first = client.subscribe({mine: true});
        const second = client.subscribe({job: "a"});
        const heard = [listen(second), listen(client.subscribe({job: "b"}))];
        first.addEventListener("ready", () => second.unsubscribe());
        FakeSocket.last.open(frame("ready", 1));
        const late = client.subscribe({job: "a"});
        heard.push(listen(late));
        late.unsubscribe();
        await null;
        return heard;
    }""")
    assert heard == [[], [], []]


async def test_start_and_stop_may_be_called_twice(bench):
    heard = await bench.evaluate("""() => {
        const heard = listen(client.subscribe({job: "a"}));
        client.start();
        FakeSocket.last.open(frame("started", 1));
        client.stop();
        client.stop();
        client.start();
        FakeSocket.last.open(frame("ready", 2));
        return [heard, FakeSocket.all.length, client.connected];
    }""")
    assert heard == [["started 1", "ready 2"], 2, "socket"]


async def test_end_can_be_awaited(bench):
    state = await bench.evaluate("""async () => {
        const {ended} = client.subscribe({job: "a"});
        FakeSocket.last.open(frame("started", 1), frame("failed", 2, "failed"));
        return (await ended).state;
    }""")
    assert state == "failed"


async def test_socket_of_one_job_needs_no_subscription(bench):
    sent = await bench.evaluate("""() => {
        const client = new JobsClient({url: "/ws/jobs/a/", job: "a", WebSocket: FakeSocket});
        const heard = listen(client.subscribe({job: "a"}));
        FakeSocket.last.open(frame("ready", 1));
        return [new URL(FakeSocket.last.url).pathname, FakeSocket.last.sent, heard];
    }""")
    assert sent == ["/ws/jobs/a/", [], ["ready 1"]]


async def test_a_frame_is_heard_only_by_those_that_it_is_for(bench):
    heard = await bench.evaluate("""() => {
        const tag = listen(client.subscribe({tag: "classroom:42"}));
        const heard =
            [tag, listen(client.subscribe({mine: true})), listen(client.subscribe({job: "a"}))];
        FakeSocket.last.open({...frame("ready", 1), for: [{tag: "classroom:42"}]});
        FakeSocket.last.say({...frame("ready", 1), for: [{tag: "classroom:42"}, {mine: true}]});
        client.receive({...frame("failed", 2, "failed", "b")});
        return heard;
    }""")
    assert heard == [["ready 1"], ["ready 1"], ["ready 1"]]


async def test_answer_to_a_request_is_for_those_that_knew_of_the_job(bench):
    heard = await bench.evaluate("""() => {
        const heard = [
            listen(client.subscribe({mine: true})),
            listen(client.subscribe({tag: "classroom:42"}))];
        FakeSocket.last.open({...frame("started", 1), for: [{mine: true}]});
        client.receive(frame("ready", 2));
        return heard;
    }""")
    assert heard == [["started 1", "ready 2"], []]


async def test_bearer_of_a_ticket_polls_with_it(bench):
    await bench.evaluate("""() => {
        client.fetch = async (url, {headers}) => {
            asked = headers["X-Job-Ticket"];
            return new Response(JSON.stringify(frame("ready", 2)));
        };
        heard = listen(client.subscribe({job: "a", ticket: "signed"}, {poll: "/jobs/a/"}));
        FakeSocket.last.lose();
    }""")
    await bench.clock.run_for(500)
    await bench.evaluate("FakeSocket.last.lose()")
    await bench.wait_for_function("heard.length")
    assert await bench.evaluate("[asked, heard]") == ["signed", ["ready 2"]]
