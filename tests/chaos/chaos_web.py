"""A web app with the workers of the chaos app inside, for a real uvicorn."""

from __future__ import annotations

from chaos_app import jobs
from fastapi import FastAPI

app = FastAPI(lifespan=jobs.lifespan())
