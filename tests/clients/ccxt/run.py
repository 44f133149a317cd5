"""ccxt, unmodified, against the embedded venue: REST by `ccxt.binance`, private events by `ccxt.pro.binance`.

Pointed at loopback by its own options: `urls` for the addresses, `requests_trust_env` and REQUESTS_CA_BUNDLE (REST) or `cafile` (WebSocket) for the
certificate. What ccxt would correct before it is sent (a price off the tick) goes through its implicit methods, one for each endpoint.
"""

import asyncio
import os
import sys

import ccxt
import ccxt.pro

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from checks import Checks, Venue  # noqa: E402

venue = Venue()
checks = Checks("ccxt")
os.environ["REQUESTS_CA_BUNDLE"] = venue.ca


def settings(product):
    """What a user of ccxt writes to reach another host."""
    usdm, spot = venue.usdm, venue.spot
    ws_usdm, ws_spot = usdm.replace("https", "wss"), spot.replace("https", "wss")
    streams = {
        "spot": f"{ws_spot}/ws",
        "margin": f"{ws_spot}/ws",
        "linear": f"{ws_usdm}/ws",
        "inverse": f"{ws_usdm}/ws",
        "ws-api": {
            "spot": f"{ws_spot}/ws-api/v3",
            "linear": f"{ws_usdm}/ws-fapi/v1",
            "inverse": f"{ws_usdm}/ws-fapi/v1",
        },
    }
    key = venue.keys["hmac"]
    return {
        "apiKey": key["api_key"],
        "secret": key["secret"],
        "enableRateLimit": False,
        "requests_trust_env": True,
        "cafile": venue.ca,
        "options": {
            "defaultType": "swap" if product == "usdm" else "spot",
            "fetchMarkets": {"types": ["linear" if product == "usdm" else "spot"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
            "streamLimits": {"spot": 50, "margin": 50, "future": 50, "delivery": 50},
        },
        "urls": {
            "api": {
                "fapiPublic": f"{usdm}/fapi/v1",
                "fapiPublicV2": f"{usdm}/fapi/v2",
                "fapiPublicV3": f"{usdm}/fapi/v3",
                "fapiPrivate": f"{usdm}/fapi/v1",
                "fapiPrivateV2": f"{usdm}/fapi/v2",
                "fapiPrivateV3": f"{usdm}/fapi/v3",
                "public": f"{spot}/api/v3",
                "private": f"{spot}/api/v3",
                "v1": f"{spot}/api/v1",
                "ws": streams,
            }
        },
    }


def around(touch, fraction):
    """A price of a whole dollar, away from the market."""
    return int(float(touch) * fraction)


def both(exchange, symbol, quantity):
    """What both products do alike, in ccxt's unified words; returns the best bid."""
    checks.gives("exchange information", exchange.load_markets, lambda markets: symbol in markets)
    book = checks.gives("depth", lambda: exchange.fetch_order_book(symbol, 20), lambda book: len(book["bids"]) == 20)
    bid = book["bids"][0][0]
    checks.gives("ticker", lambda: exchange.fetch_ticker(symbol), lambda ticker: ticker["last"] > 0)
    checks.gives("trades", lambda: exchange.fetch_trades(symbol, limit=5), lambda trades: len(trades) > 0)
    checks.gives("candles", lambda: exchange.fetch_ohlcv(symbol, "1m", limit=5), lambda rows: len(rows) > 0)
    checks.gives("server time", exchange.fetch_time, lambda time: time > 0)
    placed = checks.gives(
        "place",
        lambda: exchange.create_order(symbol, "limit", "buy", quantity, around(bid, 0.97)),
        lambda order: order["status"] == "open",
    )
    checks.gives("query", lambda: exchange.fetch_order(placed["id"], symbol), lambda order: order["id"] == placed["id"])
    checks.gives(
        "open orders",
        lambda: exchange.fetch_open_orders(symbol),
        lambda orders: [order["id"] for order in orders] == [placed["id"]],
    )
    edited = checks.gives(
        "modify",
        lambda: exchange.edit_order(placed["id"], symbol, "limit", "buy", quantity * 2, around(bid, 0.96)),
        lambda order: order["amount"] == quantity * 2,
    )
    checks.gives(
        "cancel", lambda: exchange.cancel_order(edited["id"], symbol), lambda order: order["status"] == "canceled"
    )
    checks.gives(
        "market order",
        lambda: exchange.create_order(symbol, "market", "buy", quantity),
        lambda order: order["id"] is not None,
    )
    checks.gives("own trades", lambda: exchange.fetch_my_trades(symbol), lambda trades: len(trades) > 0)
    checks.gives("closed orders", lambda: exchange.fetch_orders(symbol), lambda orders: len(orders) >= 2)
    for _ in range(2):
        exchange.create_order(symbol, "limit", "buy", quantity, around(bid, 0.97))
    checks.gives("cancel all", lambda: exchange.cancel_all_orders(symbol))
    checks.gives("none is left", lambda: exchange.fetch_open_orders(symbol), lambda orders: orders == [])
    return bid


def keys_and_clocks(exchange, balance):
    """A bad signature, an unknown key, an expired timestamp."""
    good = exchange.secret
    exchange.secret = good[:-1] + ("a" if good[-1] != "a" else "b")
    checks.refuses("a bad signature", balance, "-1022")
    exchange.secret = good
    good, exchange.apiKey = exchange.apiKey, "x" * 64
    checks.refuses("an unknown key", balance, "-2015")
    exchange.apiKey = good
    # ccxt's own name for a local clock that is wrong.
    exchange.options["timeDifference"] = 60_000
    checks.refuses("an expired timestamp", balance, "-1021")
    exchange.options["timeDifference"] = 0


def usdm():
    print("ccxt, USD-M")
    exchange = ccxt.binance(settings("usdm"))
    symbol = "BTC/USDT:USDT"
    bid = both(exchange, symbol, 0.01)
    checks.gives("account", exchange.fetch_balance, lambda balance: balance["USDT"]["total"] > 0)
    checks.gives(
        "positions",
        lambda: exchange.fetch_positions([symbol]),
        lambda positions: positions[0]["contracts"] == 0.01 and positions[0]["side"] == "long",
    )
    checks.gives("leverage", lambda: exchange.set_leverage(10, symbol), lambda answer: answer["leverage"] == "10" or answer["leverage"] == 10)
    checks.gives("funding rate", lambda: exchange.fetch_funding_rate(symbol), lambda rate: rate["markPrice"] > 0)
    checks.gives("position mode", lambda: exchange.fetch_position_mode(symbol), lambda mode: mode["hedged"] is False)
    stop = checks.gives(
        "stop order",
        lambda: exchange.create_order(symbol, "market", "sell", 0.01, None, {"stopLossPrice": around(bid, 0.9)}),
        lambda order: order["id"] is not None,
    )
    checks.gives(
        "cancel the stop",
        lambda: exchange.cancel_order(stop["id"], symbol, {"trigger": True}),
        lambda order: order["id"] == stop["id"],
    )
    checks.gives(
        "close the position",
        lambda: exchange.create_order(symbol, "market", "sell", 0.01, None, {"reduceOnly": True}),
    )
    checks.gives("and it is flat", lambda: exchange.fetch_positions([symbol]), lambda positions: positions == [])

    def order(**changed):
        asked = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.010",
            "price": str(around(bid, 0.97)),
        }
        asked.update(changed)
        return lambda: exchange.fapiPrivatePostOrder({name: value for name, value in asked.items() if value is not None})

    market = {"type": "MARKET", "timeInForce": None, "price": None}
    checks.refuses("PRICE_FILTER, tick", order(price=f"{around(bid, 0.97)}.05"), "-4014")
    checks.refuses("PRICE_FILTER, minimum", order(price="1"), "-4013")
    checks.refuses("PRICE_FILTER, maximum", order(price="5000000"), "-4002")
    checks.refuses("LOT_SIZE, maximum", order(quantity="1001"), "-4005")
    checks.refuses("LOT_SIZE, precision", order(quantity="0.0005"), "-1111")
    checks.refuses("MARKET_LOT_SIZE", order(quantity="121", **market), "-4005")
    checks.refuses("MIN_NOTIONAL", order(quantity="0.001"), "-4164")
    checks.refuses("PERCENT_PRICE", order(price=str(around(bid, 1.2))), "-4016")
    checks.refuses("margin", order(quantity="100"), "-2019")
    checks.refuses("reduce-only without a position", order(side="SELL", reduceOnly="true", price=str(around(bid, 1.02))), "-2022")
    checks.refuses("an unknown symbol", order(symbol="NOSUCHUSDT"), "-1121")
    for _ in range(200):
        order(quantity="0.002")()
    checks.refuses("MAX_NUM_ORDERS", order(quantity="0.002"), "-2025")
    exchange.cancel_all_orders(symbol)

    def algo():
        return exchange.fapiPrivatePostAlgoOrder(
            {
                "algoType": "CONDITIONAL",
                "symbol": "BTCUSDT",
                "side": "SELL",
                "type": "STOP_MARKET",
                "quantity": "0.010",
                "triggerPrice": str(around(bid, 0.9)),
            }
        )

    for _ in range(10):
        algo()
    checks.refuses("MAX_NUM_ALGO_ORDERS", algo, "-4045")
    exchange.fapiPrivateDeleteAlgoOpenOrders({"symbol": "BTCUSDT"})
    keys_and_clocks(exchange, exchange.fetch_balance)


def spot():
    print("ccxt, spot")
    exchange = ccxt.binance(settings("spot"))
    symbol = "BTC/USDT"
    bid = both(exchange, symbol, 0.01)
    checks.gives("account", exchange.fetch_balance, lambda balance: balance["BTC"]["free"] > 10)
    stop = checks.gives(
        "stop-limit order",
        lambda: exchange.create_order(
            symbol, "limit", "sell", 0.01, around(bid, 0.89), {"stopLossPrice": around(bid, 0.9)}
        ),
        lambda order: order["id"] is not None,
    )
    checks.gives("cancel the stop", lambda: exchange.cancel_order(stop["id"], symbol))

    def order(**changed):
        asked = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01",
            "price": str(around(bid, 0.97)),
        }
        asked.update(changed)
        return lambda: exchange.privatePostOrder({name: value for name, value in asked.items() if value is not None})

    market = {"type": "MARKET", "timeInForce": None, "price": None}
    stopped = {"type": "STOP_LOSS", "side": "SELL", "timeInForce": None, "price": None, "stopPrice": str(around(bid, 0.9))}
    # For some refusals ccxt tells the text and leaves the code out. It has no amendments, so MAX_NUM_ORDER_AMENDS is the other clients' to meet.
    checks.refuses("PRICE_FILTER", order(price=f"{around(bid, 0.97)}.005"), "PRICE_FILTER")
    checks.refuses("PERCENT_PRICE_BY_SIDE", order(price=str(around(bid, 0.1))), "PERCENT_PRICE_BY_SIDE")
    checks.refuses("LOT_SIZE", order(quantity="0.000001"), "LOT_SIZE")
    checks.refuses("MARKET_LOT_SIZE", order(quantity="101", **market), "MARKET_LOT_SIZE")
    checks.refuses("NOTIONAL, minimum", order(quantity="0.00002"), "NOTIONAL")
    checks.refuses("NOTIONAL, maximum", order(quantity="400"), "NOTIONAL")
    checks.refuses("balance", order(side="SELL", quantity="20", price=str(around(bid, 1.1))), "insufficient balance")
    maker = order(type="LIMIT_MAKER", timeInForce=None, price=str(around(bid, 1.1)))
    checks.refuses("LIMIT_MAKER that would take", maker, "immediately match")
    for _ in range(3):
        order(quantity="140", price=str(around(bid, 0.3)))()
    checks.refuses("MAX_POSITION", order(quantity="140", price=str(around(bid, 0.3))), "MAX_POSITION")
    exchange.cancel_all_orders(symbol)
    for _ in range(5):
        order(**stopped)()
    checks.refuses("MAX_NUM_ALGO_ORDERS", order(**stopped), "MAX_NUM_ALGO_ORDERS")
    exchange.cancel_all_orders(symbol)
    for _ in range(200):
        order(quantity="0.001")()
    checks.refuses("MAX_NUM_ORDERS", order(quantity="0.001"), "MAX_NUM_ORDERS")
    exchange.cancel_all_orders(symbol)
    keys_and_clocks(exchange, exchange.fetch_balance)


async def events(product, symbol, quantity):
    """Private events and the market's, by ccxt.pro."""
    print(f"ccxt.pro, {product}")
    exchange = ccxt.pro.binance(settings(product))
    try:
        await exchange.load_markets()
        book = await checks.agives("order book stream", exchange.watch_order_book(symbol), lambda book: len(book["bids"]) > 0)
        await checks.agives("trade stream", exchange.watch_trades(symbol), lambda trades: len(trades) > 0, patience=30)
        bid = book["bids"][0][0]
        watching = asyncio.ensure_future(exchange.watch_orders(symbol))
        trading = asyncio.ensure_future(exchange.watch_my_trades(symbol))
        # The private stream has to stand before the order is placed; ccxt does not say when it does.
        await asyncio.sleep(1.5)
        placed = await exchange.create_order(symbol, "limit", "buy", quantity, around(bid, 0.97))
        await checks.agives(
            "an order's private event",
            watching,
            lambda orders: orders[-1]["id"] == placed["id"] and orders[-1]["status"] == "open",
        )
        watching = asyncio.ensure_future(exchange.watch_orders(symbol))
        await exchange.cancel_order(placed["id"], symbol)
        await checks.agives("its cancellation", watching, lambda orders: orders[-1]["status"] == "canceled")
        await exchange.create_order(symbol, "market", "buy", quantity)
        await checks.agives("a trade's private event", trading, lambda trades: trades[-1]["amount"] > 0)
        placed = await checks.agives(
            "place over the WebSocket API",
            exchange.create_order_ws(symbol, "limit", "buy", quantity, around(bid, 0.97)),
            lambda order: order["id"] is not None,
        )
        await checks.agives("cancel over the WebSocket API", exchange.cancel_order_ws(placed["id"], symbol))
    finally:
        await exchange.close()


usdm()
spot()
asyncio.run(events("usdm", "BTC/USDT:USDT", 0.01))
asyncio.run(events("spot", "BTC/USDT", 0.01))
checks.done()
