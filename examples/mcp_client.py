"""Use Borealis from any MCP client: create a cluster, load a table, ask in English.

    python examples/mcp_client.py

The server is started as a process on standard input and output, as an IDE would start it.
"""

import asyncio
import json
import os
import sys
import tempfile

from mcp import Client, StdioServerParameters


async def main(state_dir: str) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        # No host in the background is to outlive the directory.
        args=["-m", "mcp_server", "--state-dir", state_dir, "--hosted-by", "process"],
        env=dict(os.environ),
    )
    async with Client(server) as client:

        async def call(tool: str, **arguments: object) -> dict:
            result = await client.call_tool(tool, arguments)
            if result.is_error:
                raise RuntimeError(result.content[0].text)
            # What anybody may have written into a database stands between two marks.
            texts = [each.text for each in result.content]
            return json.loads(texts[1] if texts[0].startswith("<untrusted-data") else texts[0])

        await call("create_cluster", cluster="library")
        await call(
            "execute_sql",
            cluster="library",
            sql="""
                create table books (
                    id int generated always as identity primary key,
                    title text not null,
                    author text not null,
                    year int not null
                );
                insert into books (title, author, year) values
                    ('Emma', 'Jane Austen', 1815),
                    ('Persuasion', 'Jane Austen', 1817),
                    ('Dracula', 'Bram Stoker', 1897);
            """,
        )

        tables = await call("describe_tables", cluster="library", format="json")
        for table in tables["tables"]:
            print(table["name"], [name for name, *_ in table["columns"]])

        rows = await call("run_query", cluster="library", sql="select title from books order by id")
        print(rows["rows"])

        answer = await call("ask", cluster="library", question="How many books are there?")
        print(answer["sql"], "->", answer["result"]["rows"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as state_dir:
        asyncio.run(main(state_dir))
