"""What the Python scripts share: where the venue is, and one line for each thing that was tried."""

import asyncio
import json
import os
import time


class Venue:
    """The two venues that `tests/clients/run` has started, and the keys of their account."""

    def __init__(self):
        self.usdm = os.environ["VENUE_USDM"]
        self.spot = os.environ["VENUE_SPOT"]
        self.ca = os.environ["VENUE_CA"]
        with open(os.environ["VENUE_KEYS"]) as file:
            self.keys = json.load(file)


class Checks:
    """Counts what held and what did not; `done` ends the program with it."""

    def __init__(self, client):
        self.client = client
        self.passed = 0
        self.failed = 0

    def that(self, name, holds, shown=""):
        if holds:
            self.passed += 1
            print(f"  ok      {name}")
        else:
            self.failed += 1
            print(f"  FAILED  {name} {shown}")

    def gives(self, name, call, holds=lambda answer: True):
        """The call answers, and the answer is right; returns the answer."""
        try:
            answer = call()
        except Exception as error:
            self.that(name, False, f"{type(error).__name__}: {error}")
            return None
        self.that(name, holds(answer), str(answer)[:300])
        return answer

    def refuses(self, name, call, *words):
        """The call is refused, and the client tells the exchange's code or text."""
        try:
            answer = call()
        except Exception as error:
            told = f"{error} {getattr(error, 'error_code', '')} {getattr(error, 'error_message', '')}"
            self.that(name, all(str(word) in told for word in words), f"{type(error).__name__}: {told}")
            return
        self.that(name, False, f"was not refused: {str(answer)[:200]}")

    async def agives(self, name, awaitable, holds=lambda answer: True, patience=10):
        try:
            answer = await asyncio.wait_for(awaitable, patience)
        except Exception as error:
            self.that(name, False, f"{type(error).__name__}: {error}")
            return None
        self.that(name, holds(answer), str(answer)[:300])
        return answer

    async def arefuses(self, name, awaitable, *words, patience=10):
        try:
            answer = await asyncio.wait_for(awaitable, patience)
        except Exception as error:
            self.that(name, all(str(word) in str(error) for word in words), f"{type(error).__name__}: {error}")
            return
        self.that(name, False, f"was not refused: {str(answer)[:200]}")

    def done(self):
        print(f"{self.client}: {self.passed} passed, {self.failed} failed")
        raise SystemExit(1 if self.failed else 0)


def now_ms():
    return int(time.time() * 1000)
