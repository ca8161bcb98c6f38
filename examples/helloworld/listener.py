#!/usr/bin/env python3
"""Answers `/ping/{value}` with `{value}`: a listener in Python 3.8 or newer, with nothing but the standard library.

    examples/helloworld/listener.py
    curl http://127.0.0.1:7420/http/ping/hello -H 'Prefer: wait=20'

It does all that a good listener does: it leases with a key, extends the lease while it works, completes, tries again
while the service is away, and when it is told to stop it ends the work that it has begun. `/ping/hello?seconds=60` takes a
minute, which is longer than the lease.
"""
import http.client
import itertools
import json
import os
import re
import signal
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

CLOCKWORK = os.environ.get('CLOCKWORK_URL', 'http://127.0.0.1:7420')
LEASE_MS = int(os.environ.get('LEASE_MS', '30000'))
WAIT_MS = 20_000
WORKER = f'python {os.getpid()}'


class Refused(Exception):
    """The service has answered, and says no: to ask the same again would not help."""


class Stop(Exception):
    """Somebody wants the listener to stop while it waits for work."""


class Away(Exception):
    """The service has not answered, as often as it was tried."""


def call(method, path, headers, body=None, tries=None):
    """Tries until there is an answer. All calls here may be repeated: a lease has its key, a completion twice is one."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(CLOCKWORK + path, data, headers, method=method)
    if data is not None:
        request.add_header('Content-Type', 'application/json')
    pause = 0.25
    for count in itertools.count(1):
        try:
            with urllib.request.urlopen(request, timeout=WAIT_MS / 1000 + 10) as reply:
                text = reply.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            problem = error.read().decode(errors='replace')
            if error.code < 500 and error.code != 429:
                raise Refused(problem) from None
            say(f'{method} {path}: {problem}')
        except (OSError, http.client.HTTPException, ValueError) as error:  # Nobody there, or a reply that broke off.
            say(f'{method} {path}: {error}')
        if count == tries:
            raise Away
        time.sleep(pause)
        pause = min(pause * 2, 5)


def say(text):
    print(text, file=sys.stderr, flush=True)


class Lease:
    """One event in hand. It is extended at each third of its time, for as long as it is worked on."""

    def __init__(self, lease):
        self.event = lease['event']
        self.path = '/v1/attempts/' + urllib.parse.quote(lease['attemptId'])
        self.token = {'Lease-Token': lease['token']}
        self.ended = threading.Event()
        # The work is not wanted any more: the lease is lost, or somebody asked to cancel the event.
        self.unwanted = threading.Event()

    def __enter__(self):
        threading.Thread(target=self.keep, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()

    def keep(self):
        while not self.ended.wait(LEASE_MS / 3000):
            try:
                if call('PATCH', self.path, self.token, {'leaseMs': LEASE_MS})['cancelRequested']:
                    self.unwanted.set()
            except Refused:
                return self.unwanted.set()

    def complete(self, completion):
        call('PUT', self.path + '/completion', self.token, completion)

    def hand_back(self):
        call('DELETE', self.path, self.token, tries=2)


def answer(lease):
    """The completion. An answer of "no" is one too: `fail` says that nobody could help."""
    event = lease.event
    match = re.fullmatch('/ping/(.+)', event['path'])
    if not match:
        return completion('fail', 404, f"There is no {event['method']} {event['path']} here.\n")
    seconds = urllib.parse.parse_qs(event['query']).get('seconds', ['0'])[0]
    if lease.unwanted.wait(float(seconds) if re.fullmatch(r'\d{1,4}(\.\d+)?', seconds) else 0):
        return completion('fail', 410, 'Nobody waits for this any more.\n')
    try:
        return completion('success', 200, urllib.parse.unquote(match[1], errors='strict'))
    except UnicodeDecodeError:
        return completion('fail', 400, 'The value is not well percent-encoded.\n')


def completion(outcome, status, body):
    headers = {'Content-Type': 'text/plain; charset=utf-8'}
    return {'outcome': outcome, 'response': {'status': status, 'headers': headers, 'body': body}}


class Listener:
    def __init__(self):
        self.waiting = False
        self.stopping = False

    def stop(self, number, _frame):
        signal.signal(number, signal.SIG_DFL)  # The second time it ends at once.
        self.stopping = True
        if self.waiting:
            raise Stop

    def lease(self):
        """One long poll. Its key gives the same leases again when the reply was lost, instead of more."""
        key = {'Idempotency-Key': str(uuid.uuid4())}
        ask = {'types': ['HTTP'], 'leaseMs': LEASE_MS, 'worker': WORKER}
        try:
            self.waiting = True
            if self.stopping:
                raise Stop
            found = call('POST', '/v1/leases', key, {**ask, 'waitMs': WAIT_MS})['leases']
            self.waiting = False
            return found
        except Stop:
            self.waiting = False
            self.hand_back_unheard(key, {**ask, 'waitMs': 0})
            return []
        except Refused as refusal:
            self.waiting = False
            say(refusal)
            time.sleep(1)
            return []

    def hand_back_unheard(self, key, ask):
        """An event may have been on its way: the same key brings it, and others can have it at once."""
        try:
            for lease in call('POST', '/v1/leases', key, ask, tries=2)['leases']:
                Lease(lease).hand_back()
        except (Refused, Away) as failure:
            say(f'Not handed back: {failure!r}')

    def run(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        while not self.stopping:
            for lease in self.lease():
                with Lease(lease) as held:
                    try:
                        held.complete(answer(held))
                    except Refused as refusal:
                        say(refusal)  # Too late: somebody else has the event now.


if __name__ == '__main__':
    Listener().run()
