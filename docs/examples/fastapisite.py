"""A site on FastAPI: ``CASSANDRA=10.0.0.1 KEYSPACE=app uvicorn fastapisite:app``."""

import os
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request

import txcql


@asynccontextmanager
async def lifespan(app):
    node = os.environ.get("CASSANDRA", "127.0.0.1")
    async with txcql.aio.connect([node], keyspace=os.environ.get("KEYSPACE")) as session:
        app.state.cassandra = session
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/planets/{name}")
async def planet(name: str, request: Request):
    session = request.app.state.cassandra
    found = (await session.execute("SELECT moons FROM planets WHERE name = ?", [name])).one()
    if found is None:
        raise HTTPException(404, f"no planet {name}")
    return {"name": name, "moons": found.moons}


@app.put("/planets/{name}/{moons}")
async def put_planet(name: str, moons: int, request: Request):
    session = request.app.state.cassandra
    await session.execute("INSERT INTO planets (name, moons) VALUES (?, ?)", [name, moons])
    return {"name": name, "moons": moons}
