"""What the system tests start and drive. One ability a file; take the smallest that does.

* `stack`: the whole example project as real processes (Redis, daphne, a worker). Most tests share
  one by the fixture `stack`; a test that breaks it takes `own_stack`.
* `site`: Redis and daphne only, with limits that the test sets. For faults of push, store and
  archive. Its jobs are made by a `project_shell`, a process whose functions are in
  `shell_commands`; a worker and a `proxy` before Redis only on request.
* `fault_stack`: a second Redis for the broker and any number of workers. For faults of Celery.
* `fake_worker`: calls a job's verbs as a worker would, at the moment that the test wants.
* People: `person` (HTTP and sockets, no scripts), `socket_page` (a waiting page's socket, with
  the reconnect rule of connection.js; thousands fit into one process), and the browsers `chromium`
  and `firefox`. `page_situations` brings the waiting page into each of its situations, and
  `fake_socket.js` replaces WebSocket in a browser.
* Networks: `proxy` (goes silent, cuts, answers 502; or drops packets), `no_websocket_proxy`.
* Engines: `postgres`, `mariadb`, `sentinels` (Redis with a replica and three sentinels).
* Clocks: `clocks` sets the wall clock of single processes.
* The rest: `waiting` (until something is so), `usage` (CPU, memory, threads), `tickets`,
  `printing`.

The projects that these processes run are in `tests/system/projects`.
"""
