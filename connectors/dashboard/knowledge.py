"""The pages about what the house knows: the picture of the graph, the questions that it could not answer, and the files
of answers that it could not read."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from connectors.dashboard.operators import Operators, Refused
from knowledge_graph import Answer, Graph, content, feedback, gaps, products, reports
from knowledge_graph.neighbourhood import around, find
from settings import SHANGHAI

FOUND = 100
"""Nodes of one search; without words all topics and categories of a shop."""

Name = Annotated[str, Query(max_length=200)]


def router(operators: Operators, graph: Graph) -> APIRouter:
    router = APIRouter(prefix="/graph")

    @router.get("/search")
    async def search(request: Request, response: Response, words: Name = "") -> dict[str, Any]:
        """Nodes to begin with."""
        operators.reader(request)
        response.headers["Cache-Control"] = "no-store"
        return {"nodes": [asdict(node) for node in await find(graph, words, FOUND)]}

    @router.get("/around")
    async def picture(
        request: Request,
        response: Response,
        label: Name,
        node_id: Annotated[str, Query(alias="id", max_length=200)],
        hops: Annotated[int, Query(ge=1, le=2)] = 1,
    ) -> dict[str, Any]:
        """The node, which comes first, with what stands around it; edges name their ends by their places."""
        operators.reader(request)
        response.headers["Cache-Control"] = "no-store"
        found = await around(graph, label, node_id, _hops(hops))
        if found is None:
            raise Refused(404, "not_found", "图谱里没有这一项，可能刚被删掉了。")
        places = {node: place for place, node in enumerate(found.nodes)}
        edges = [
            {"kind": edge.kind, "source": places[edge.source], "target": places[edge.target]} for edge in found.edges
        ]
        nodes = [asdict(node) for node in found.nodes]
        return {"nodes": nodes, "edges": edges, "details": await _details(graph, label, node_id)}

    @router.get("/gaps")
    async def unanswered(request: Request, response: Response) -> dict[str, Any]:
        """What was asked most and could not be answered, and the answers that helped least."""
        operators.reader(request)
        response.headers["Cache-Control"] = "no-store"
        asked, judged = await gaps.clusters(graph), await feedback.worst(graph)
        known = {one.id: one for one in await content.answers(graph)}
        worst = [asdict(one) | _named(known.get(one.source)) for one in judged if one.down]
        return {"gaps": [asdict(cluster) for cluster in asked], "worst": worst}

    @router.get("/files")
    async def files(request: Request, response: Response) -> dict[str, Any]:
        """What is wrong with the files of answers, whether or not the graph answers."""
        operators.reader(request)
        response.headers["Cache-Control"] = "no-store"
        found = await asyncio.to_thread(reports.read)
        return {"trouble": found.trouble, "problems": [asdict(problem) for problem in found.problems]}

    return router


def _hops(number: int) -> Literal[1, 2]:
    return 2 if number == 2 else 1


def _named(answer: Answer | None) -> dict[str, str | None]:
    """An answer that is gone has no name any more, but its thumbs are kept."""
    return {"title": answer.title, "label": answer.kind.capitalize()} if answer else {"title": None, "label": None}


async def _details(graph: Graph, label: str, node_id: str) -> dict[str, Any]:
    """What a node says of itself; most say nothing but their name."""
    if label == "Product" and (product := await products.product(graph, node_id)):
        return {"product": asdict(product)}
    if label in ("Faq", "Policy") and (answer := await content.answer(graph, node_id)):
        holds = answer.holds_on(datetime.now(SHANGHAI).date())
        return {"answer": asdict(answer) | {"holds": holds}, "feedback": asdict(await feedback.of(graph, node_id))}
    return {}
