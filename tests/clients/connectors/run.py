"""The exchange's own Python connectors, unmodified, against the embedded venue: REST, WebSocket API and streams, USD-M and spot.

Pointed at loopback by their own options: `base_path` and `stream_url`; the certificate by REQUESTS_CA_BUNDLE (REST) and an `ssl.SSLContext` as
`https_agent` (WebSocket). An error of the connector carries the exchange's text, so refusals are told apart by that.
"""

import asyncio
import os
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from checks import Checks, Venue  # noqa: E402

venue = Venue()
checks = Checks("connectors")
os.environ["REQUESTS_CA_BUNDLE"] = venue.ca

from binance_common.configuration import (  # noqa: E402
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (  # noqa: E402
    DerivativesTradingUsdsFutures,
)
from binance_sdk_spot.spot import Spot  # noqa: E402

trust = ssl.create_default_context(cafile=venue.ca)
hmac = venue.keys["hmac"]
ed25519 = venue.keys["ed25519"]


def rest(base, key=hmac, **changed):
    options = {"base_path": base, "api_key": key["api_key"], "timeout": 10_000, "retries": 0}
    if "private_key" in key:
        options["private_key"] = key["private_key"]
    else:
        options["api_secret"] = key["secret"]
    options.update(changed)
    return ConfigurationRestAPI(**options)


def client(kind, base, api, **changed):
    ws = base.replace("https", "wss")
    return kind(
        config_rest_api=rest(base, **changed),
        config_ws_api=ConfigurationWebSocketAPI(
            api_key=ed25519["api_key"], private_key=ed25519["private_key"], stream_url=f"{ws}/{api}", https_agent=trust
        ),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=f"{ws}/stream", https_agent=trust),
    )


def around(touch, fraction):
    return int(float(touch) * fraction)


def usdm():
    print("connectors, USD-M")
    api = client(DerivativesTradingUsdsFutures, venue.usdm, "ws-fapi/v1").rest_api
    call = lambda method, **params: (lambda: getattr(api, method)(**params).data())  # noqa: E731
    checks.gives("exchange information", call("exchange_information"), lambda info: info.symbols[0].symbol == "BTCUSDT")
    book = checks.gives("depth", call("order_book", symbol="BTCUSDT", limit=5), lambda book: len(book.bids) == 5)
    bid = book.bids[0][0]
    checks.gives("candles", call("kline_candlestick_data", symbol="BTCUSDT", interval="1m", limit=3))
    checks.gives("24 h ticker", call("ticker24hr_price_change_statistics", symbol="BTCUSDT"))
    checks.gives("aggregate trades", call("compressed_aggregate_trades_list", symbol="BTCUSDT", limit=3))
    checks.gives("mark price", call("mark_price", symbol="BTCUSDT"))
    checks.gives("open interest", call("open_interest", symbol="BTCUSDT"), lambda interest: interest.symbol == "BTCUSDT")
    limit = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "time_in_force": "GTC"}
    placed = checks.gives(
        "place",
        call("new_order", **limit, quantity=0.01, price=around(bid, 0.97), new_client_order_id="conn-1"),
        lambda order: order.status == "NEW" and order.client_order_id == "conn-1",
    )
    number = placed.order_id
    checks.gives("query", call("query_order", symbol="BTCUSDT", order_id=number), lambda order: order.order_id == number)
    checks.gives(
        "query by client id",
        call("query_current_open_order", symbol="BTCUSDT", orig_client_order_id="conn-1"),
        lambda order: order.order_id == number,
    )
    checks.gives("open orders", call("current_all_open_orders", symbol="BTCUSDT"), lambda orders: len(orders) == 1)
    checks.gives(
        "modify",
        call("modify_order", symbol="BTCUSDT", side="BUY", quantity=0.02, price=around(bid, 0.96), order_id=number),
        lambda order: order.orig_qty == "0.020",
    )
    checks.gives(
        "cancel", call("cancel_order", symbol="BTCUSDT", order_id=number), lambda order: order.status == "CANCELED"
    )
    checks.gives(
        "batch",
        lambda: api.place_multiple_orders(
            batch_orders=[
                {
                    "symbol": "BTCUSDT",
                    "side": "BUY",
                    "type": "LIMIT",
                    "timeInForce": "GTC",
                    "quantity": "0.01",
                    "price": str(around(bid, 0.97)),
                }
            ]
        ).data(),
        lambda orders: orders[0].status == "NEW",
    )
    checks.gives("cancel all", call("cancel_all_open_orders", symbol="BTCUSDT"), lambda answer: int(answer.code) == 200)
    checks.gives(
        "market order",
        call("new_order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01, new_order_resp_type="RESULT"),
        lambda order: order.status == "FILLED",
    )
    checks.gives("own trades", call("account_trade_list", symbol="BTCUSDT"), lambda trades: len(trades) > 0)
    checks.gives("account v2", call("account_information_v2"), lambda account: account.assets[0].asset == "USDT")
    checks.gives("account v3", call("account_information_v3"), lambda account: len(account.positions) == 1)
    checks.gives("balance v2", call("futures_account_balance_v2"), lambda balances: balances[0].asset == "USDT")
    checks.gives("balance v3", call("futures_account_balance_v3"), lambda balances: balances[0].asset == "USDT")
    for version in ("v2", "v3"):
        checks.gives(
            f"positions {version}",
            call(f"position_information_{version}", symbol="BTCUSDT"),
            lambda positions: positions[0].position_amt == "0.010",
        )
    checks.gives("income", call("get_income_history", income_type="COMMISSION"), lambda rows: len(rows) > 0)
    checks.gives("leverage", call("change_initial_leverage", symbol="BTCUSDT", leverage=5), lambda answer: answer.leverage == 5)
    checks.refuses("margin type is cross already", call("change_margin_type", symbol="BTCUSDT", margin_type="CROSSED"), "No need")
    algo = checks.gives(
        "conditional order",
        call(
            "new_algo_order",
            algo_type="CONDITIONAL",
            symbol="BTCUSDT",
            side="SELL",
            type="TRAILING_STOP_MARKET",
            quantity=0.01,
            callback_rate=1,
            client_algo_id="conn-algo",
        ),
        lambda algo: algo.algo_status == "NEW",
    )
    checks.gives("query it", call("query_algo_order", algo_id=algo.algo_id), lambda found: found.algo_status == "NEW")
    checks.gives("open conditional orders", call("current_all_algo_open_orders"), lambda algos: len(algos) == 1)
    checks.gives("cancel it", call("cancel_algo_order", client_algo_id="conn-algo"), lambda answer: answer.algo_id == algo.algo_id)
    countdown = call("auto_cancel_all_open_orders", symbol="BTCUSDT", countdown_time=60_000)
    checks.gives("countdown", countdown, lambda answer: answer.countdown_time == "60000")
    close = call("new_order", symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.01, reduce_only="true")
    checks.gives("close the position", close)
    checks.gives("hedge mode", call("change_position_mode", dual_side_position="true"), lambda answer: int(answer.code) == 200)
    checks.gives(
        "a long leg",
        call("new_order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.02, position_side="LONG"),
    )
    checks.gives(
        "a short leg beside it",
        call("new_order", symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.01, position_side="SHORT"),
    )
    checks.gives(
        "both legs",
        call("position_information_v3", symbol="BTCUSDT"),
        lambda positions: sorted(leg.position_amt for leg in positions) == ["-0.010", "0.020"],
    )
    call("new_order", symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.02, position_side="LONG")()
    call("new_order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01, position_side="SHORT")()
    checks.gives("one-way mode again", call("change_position_mode", dual_side_position="false"))

    def order(**changed):
        return call("new_order", **{**limit, "quantity": 0.01, "price": around(bid, 0.97), **changed})

    checks.refuses("PRICE_FILTER, tick", order(price=around(bid, 0.97) + 0.05), "Price not increased by tick size")
    checks.refuses("PRICE_FILTER, minimum", order(price=1), "Price less than min price")
    checks.refuses("PRICE_FILTER, maximum", order(price=5_000_000), "Price greater than max price")
    checks.refuses("LOT_SIZE", order(quantity=1001), "Quantity greater than max quantity")
    checks.refuses(
        "MARKET_LOT_SIZE",
        call("new_order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity=121),
        "Quantity greater than max quantity",
    )
    checks.refuses("MIN_NOTIONAL", order(quantity=0.001), "notional must be no smaller")
    checks.refuses("PERCENT_PRICE", order(price=around(bid, 1.2)), "Limit price can't be higher")
    for _ in range(200):
        order(quantity=0.002)()
    checks.refuses("MAX_NUM_ORDERS", order(quantity=0.002), "Reach max open order limit")
    call("cancel_all_open_orders", symbol="BTCUSDT")()
    stop = {"algo_type": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": 0.01}
    waits = call("new_algo_order", **stop, trigger_price=around(bid, 0.9))
    for _ in range(10):
        waits()
    checks.refuses("MAX_NUM_ALGO_ORDERS", waits, "Reach max stop order limit")
    call("cancel_all_algo_open_orders", symbol="BTCUSDT")()
    checks.refuses(
        "a stop that is there already", call("new_algo_order", **stop, trigger_price=around(bid, 1.1)), "immediately trigger"
    )
    keys_and_clocks(
        DerivativesTradingUsdsFutures, venue.usdm, "ws-fapi/v1", lambda api: api.account_information_v3().data()
    )


def keys_and_clocks(kind, base, api, account):
    signed = client(kind, base, api, key=ed25519).rest_api
    checks.gives("a request signed with Ed25519", lambda: account(signed))
    if "rsa" in venue.keys:
        signed = client(kind, base, api, key=venue.keys["rsa"]).rest_api
        checks.gives("a request signed with RSA", lambda: account(signed))
    wrong = client(kind, base, api, key={**hmac, "secret": "not the secret"}).rest_api
    checks.refuses("a bad signature", lambda: account(wrong), "Signature for this request is not valid")
    import binance_common.utils as utils

    # The connector reads the clock by this name; a machine whose clock is a minute behind.
    right = utils.get_timestamp
    utils.get_timestamp = lambda *unit: right(*unit) - 60_000
    behind = client(kind, base, api).rest_api
    checks.refuses("an expired timestamp", lambda: account(behind), "outside of the recvWindow")
    utils.get_timestamp = right


def spot():
    print("connectors, spot")
    api = client(Spot, venue.spot, "ws-api/v3").rest_api
    call = lambda method, **params: (lambda: getattr(api, method)(**params).data())  # noqa: E731
    checks.gives("exchange information", call("exchange_info"), lambda info: info.symbols[0].symbol == "BTCUSDT")
    book = checks.gives("depth", call("depth", symbol="BTCUSDT", limit=5), lambda book: len(book.bids) == 5)
    bid = book.bids[0][0]
    checks.gives("average price", call("avg_price", symbol="BTCUSDT"), lambda price: price.mins == 5)
    checks.gives("candles", call("klines", symbol="BTCUSDT", interval="1m", limit=3))
    checks.gives("24 h ticker", call("ticker24hr", symbol="BTCUSDT"))
    limit = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "time_in_force": "GTC"}
    checks.gives("test order", call("order_test", **limit, quantity=0.01, price=around(bid, 0.97)))
    placed = checks.gives(
        "place",
        call("new_order", **limit, quantity=0.01, price=around(bid, 0.97), new_client_order_id="conn-1"),
        lambda order: order.status == "NEW" and order.client_order_id == "conn-1",
    )
    checks.gives("query", call("get_order", symbol="BTCUSDT", order_id=placed.order_id), lambda order: order.is_working)
    checks.gives("open orders", call("get_open_orders", symbol="BTCUSDT"), lambda orders: len(orders) == 1)
    checks.gives(
        "amend",
        call("order_amend_keep_priority", symbol="BTCUSDT", new_qty=0.005, order_id=placed.order_id),
        lambda answer: answer.amended_order.qty == "0.00500000",
    )
    replaced = checks.gives(
        "cancel and replace",
        call(
            "order_cancel_replace",
            **limit,
            cancel_replace_mode="STOP_ON_FAILURE",
            quantity=0.02,
            price=around(bid, 0.96),
            cancel_order_id=placed.order_id,
        ),
        lambda answer: answer.cancel_result == "SUCCESS" and answer.new_order_result == "SUCCESS",
    )
    again = call(
        "order_cancel_replace",
        **limit,
        cancel_replace_mode="STOP_ON_FAILURE",
        quantity=0.02,
        price=around(bid, 0.96),
        cancel_order_id=placed.order_id,
    )
    checks.refuses("and not of an order that is gone", again, "Order cancel-replace failed")
    number = replaced.new_order_response.order_id
    checks.gives("cancel", call("delete_order", symbol="BTCUSDT", order_id=number), lambda order: order.status == "CANCELED")
    checks.gives(
        "market order",
        call("new_order", symbol="BTCUSDT", side="BUY", type="MARKET", quote_order_qty=1000),
        lambda order: order.status == "FILLED" and len(order.fills) > 0,
    )
    checks.gives("own trades", call("my_trades", symbol="BTCUSDT"), lambda trades: trades[0].commission_asset == "BTC")
    checks.gives("account", call("get_account"), lambda account: account.account_type == "SPOT")
    checks.gives("commission", call("account_commission", symbol="BTCUSDT"))
    checks.gives("order counts", call("rate_limit_order"), lambda rows: len(rows) == 2)

    def order(**changed):
        return call("new_order", **{**limit, "quantity": 0.01, "price": around(bid, 0.97), **changed})

    checks.refuses("PRICE_FILTER", order(price=around(bid, 0.97) + 0.005), "Filter failure: PRICE_FILTER")
    checks.refuses("PERCENT_PRICE_BY_SIDE", order(price=around(bid, 0.1)), "Filter failure: PERCENT_PRICE_BY_SIDE")
    checks.refuses("LOT_SIZE", order(quantity=9001), "Filter failure: LOT_SIZE")
    checks.refuses(
        "MARKET_LOT_SIZE",
        call("new_order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity=101),
        "Filter failure: MARKET_LOT_SIZE",
    )
    checks.refuses("NOTIONAL", order(quantity=0.0001, price=around(bid, 0.3)), "Filter failure: NOTIONAL")
    for _ in range(3):
        order(quantity=140, price=around(bid, 0.3))()
    checks.refuses("MAX_POSITION", order(quantity=140, price=around(bid, 0.3)), "Filter failure: MAX_POSITION")
    call("delete_open_orders", symbol="BTCUSDT")()
    stop = call(
        "new_order", symbol="BTCUSDT", side="SELL", type="STOP_LOSS", quantity=0.01, stop_price=around(bid, 0.9)
    )
    for _ in range(5):
        stop()
    checks.refuses("MAX_NUM_ALGO_ORDERS", stop, "Filter failure: MAX_NUM_ALGO_ORDERS")
    call("delete_open_orders", symbol="BTCUSDT")()
    amended = order(quantity=0.02)()
    for step in range(10):
        call("order_amend_keep_priority", symbol="BTCUSDT", new_qty=round(0.019 - step / 1000, 3), order_id=amended.order_id)()
    eleventh = call("order_amend_keep_priority", symbol="BTCUSDT", new_qty=0.005, order_id=amended.order_id)
    checks.refuses("MAX_NUM_ORDER_AMENDS", eleventh, "Filter failure: MAX_NUM_ORDER_AMENDS")
    call("delete_open_orders", symbol="BTCUSDT")()
    for _ in range(200):
        order(quantity=0.001)()
    checks.refuses("MAX_NUM_ORDERS", order(quantity=0.001), "Filter failure: MAX_NUM_ORDERS")
    call("delete_open_orders", symbol="BTCUSDT")()
    keys_and_clocks(Spot, venue.spot, "ws-api/v3", lambda api: api.get_account().data())


class Heard:
    """Collects what a stream says."""

    def __init__(self):
        self.events = []
        self.changed = asyncio.Event()

    def __call__(self, event):
        self.events.append(str(event))
        self.changed.set()

    async def first(self, *words):
        while True:
            for event in self.events:
                if all(word in event for word in words):
                    return event
            self.changed.clear()
            await self.changed.wait()


async def usdm_streams():
    print("connectors, USD-M streams and WebSocket API")
    exchange = client(DerivativesTradingUsdsFutures, venue.usdm, "ws-fapi/v1")
    bid = exchange.rest_api.order_book(symbol="BTCUSDT", limit=5).data().bids[0][0]
    connection = await exchange.websocket_streams.create_connection()
    depth = Heard()
    stream = await connection.diff_book_depth_streams(symbol="btcusdt")
    stream.on("message", depth)
    await checks.agives("depth stream", depth.first("depthUpdate"))
    candles = Heard()
    (await connection.kline_candlestick_streams(symbol="btcusdt", interval="1m")).on("message", candles)
    await checks.agives("candle stream", candles.first("kline"))
    tickers = Heard()
    (await connection.all_market_mini_tickers_stream()).on("message", tickers)
    await checks.agives("mini tickers of all", tickers.first("24hrMiniTicker"))
    key = exchange.rest_api.start_user_data_stream().data().listen_key
    private = Heard()
    (await connection.user_data(key)).on("message", private)
    await asyncio.sleep(0.5)
    api = await exchange.websocket_api.create_connection()
    try:
        placed = await checks.agives(
            "place over the WebSocket API",
            api.new_order(
                symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=around(bid, 0.97)
            ),
            lambda answer: answer.data().result.status == "NEW",
        )
        number = placed.data().result.order_id
        await checks.agives("its private event", private.first("OrderTradeUpdate(", str(number)))
        await checks.agives("query", api.query_order(symbol="BTCUSDT", order_id=number))
        await checks.agives(
            "modify",
            api.modify_order(symbol="BTCUSDT", side="BUY", quantity=0.02, price=around(bid, 0.96), order_id=number),
        )
        await checks.agives("cancel", api.cancel_order(symbol="BTCUSDT", order_id=number))
        await checks.agives("the cancellation's private event", private.first("OrderTradeUpdate(", "CANCELED"))
        algo = api.new_algo_order(
            algo_type="CONDITIONAL",
            symbol="BTCUSDT",
            side="SELL",
            type="STOP_MARKET",
            quantity=0.01,
            trigger_price=around(bid, 0.9),
            client_algo_id="conn-ws-algo",
        )
        await checks.agives("conditional order", algo, lambda answer: answer.data().result.algo_status == "NEW")
        await checks.agives("its private event", private.first("AlgoUpdate(", "conn-ws-algo"))
        await checks.agives("cancel it", api.cancel_algo_order(client_algo_id="conn-ws-algo"))
        await checks.agives("account", api.account_information_v2())
        await checks.agives("positions", api.position_information_v2())
    finally:
        await api.close_connection(close_session=True)
        await connection.close_connection(close_session=True)


async def spot_streams():
    print("connectors, spot streams and WebSocket API")
    exchange = client(Spot, venue.spot, "ws-api/v3")
    bid = exchange.rest_api.depth(symbol="BTCUSDT", limit=5).data().bids[0][0]
    connection = await exchange.websocket_streams.create_connection()
    api = await exchange.websocket_api.create_connection()
    try:
        depth = Heard()
        (await connection.diff_book_depth(symbol="btcusdt")).on("message", depth)
        await checks.agives("depth stream", depth.first("depthUpdate"))
        private = Heard()
        subscribed = await checks.agives("subscribe to private events", api.user_data_stream_subscribe_signature())
        subscribed.stream.on("message", private)
        placed = await checks.agives(
            "place over the WebSocket API",
            api.order_place(
                symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.01, price=around(bid, 0.97)
            ),
            lambda answer: answer.data().result.status == "NEW",
        )
        number = placed.data().result.order_id
        await checks.agives("its private event", private.first("ExecutionReport(", str(number)))
        await checks.agives("the funds that it locks", private.first("OutboundAccountPosition("))
        await checks.agives("query", api.order_status(symbol="BTCUSDT", order_id=number))
        await checks.agives("cancel", api.order_cancel(symbol="BTCUSDT", order_id=number))
        await checks.agives("account", api.account_status(), lambda answer: answer.data().result.account_type == "SPOT")
    finally:
        await api.close_connection(close_session=True)
        await connection.close_connection(close_session=True)


usdm()
spot()
asyncio.run(usdm_streams())
asyncio.run(spot_streams())
checks.done()
